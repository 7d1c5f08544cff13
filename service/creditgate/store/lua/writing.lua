-- How numbers, texts and records are written.

-- Remembers a string that `flush` writes: one command for all of a partition costs much less than one for each.
local function write_string(part, string_key, value)
  local strings = part.strings
  local count = #strings
  strings[count + 1] = string_key
  strings[count + 2] = value
end

-- Returns the text of a whole number. `%d` is exact for all amounts, and much quicker than `%.0f`.
local function text_of(number)
  return string.format('%d', number)
end

-- Returns the text of a second; the orders of a call mostly share one.
local function second_text(part, second)
  local text = part.second_texts[second]
  if not text then
    text = text_of(second)
    part.second_texts[second] = text
  end
  return text
end

local formats = {}

-- Returns the format of so many items behind a head, which has no other items; both are formats. So all of them are
-- read and written by one command of `struct`: a command and a table for each would cost a decision much more.
local function format_of(head, item, count)
  local counted = formats[head]
  if not counted then
    counted = {}
    formats[head] = counted
  end
  local format = counted[count]
  if not format then
    format = head .. string.rep(string.sub(item, 2), count)
    counted[count] = format
  end
  return format
end

-- The answer of a function that is no operation, to what it can't carry out: an error whose text is that of `failure`.
local function refusal(reason, number, text)
  return redis.error_reply(table.concat({ REFUSAL_CODE, text_of(reason), text_of(number), text }, ' '))
end
