-- Sums that fall due at a second: a sorted set whose members are `second:sum`, or `second:TAG:sum` where an owner keeps
-- several sums. An owner (an account or a group) keeps its next due second; it may be early, never late.

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

-- Returns the tag ('' for none) and the sum of a member.
local function parse_due(member)
  local tag, sum = string.match(member, '^%d+:(%u*):?(%d+)$')
  return tag, tonumber(sum)
end

-- Takes what has fallen due off its owner, once `next_due` has come: `take_off(tag, sum)` does so.
local function lapse_due(part, owner, take_off)
  local now = second_text(part, part.now_s)
  local fallen = redis.call('ZRANGEBYSCORE', owner.due_key, '-inf', now)
  for index = 1, #fallen do
    take_off(parse_due(fallen[index]))
  end
  local following = redis.call('ZRANGEBYSCORE', owner.due_key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  owner.next_due = tonumber(following[2] or '0')
  owner.lapsed = true
end

-- Adds to what falls due at a second (a negative amount takes off). Reads the stored sums now, so that `flush` only
-- writes.
local function add_due(part, owner, second, tag, amount)
  if amount == 0 then
    return
  end
  local at = owner.due[second]
  if not at then
    at = {}
    local text = second_text(part, second)
    local members = redis.call('ZRANGEBYSCORE', owner.due_key, text, text)
    for index = 1, #members do
      local member_tag, sum = parse_due(members[index])
      at[member_tag] = { stored = members[index], sum = sum, changed = false }
    end
    owner.due[second] = at
  end
  local due = at[tag]
  if due then
    due.sum, due.changed = due.sum + amount, true
  else
    due = { sum = amount, changed = true }
    at[tag] = due
  end
  if due.sum > 0 and (owner.next_due == 0 or second < owner.next_due) then
    owner.next_due = second
  end
end

-- Calls `visit(second, tag, sum)` for all that falls due later, as it is within this call.
local function each_due(part, owner, visit)
  local members = redis.call('ZRANGEBYSCORE', owner.due_key, '(' .. text_of(part.now_s), '+inf', 'WITHSCORES')
  for index = 1, #members, 2 do
    local second = tonumber(members[index + 1])
    if not owner.due[second] then
      visit(second, parse_due(members[index]))
    end
  end
  for second, at in pairs(owner.due) do
    for tag, due in pairs(at) do
      if second > part.now_s and due.sum > 0 then
        visit(second, tag, due.sum)
      end
    end
  end
end

local function write_due(part, owner)
  if owner.lapsed then
    redis.call('ZREMRANGEBYSCORE', owner.due_key, '-inf', second_text(part, part.now_s))
  end
  for second, at in pairs(owner.due) do
    local text = second_text(part, second)
    for tag, due in pairs(at) do
      if due.changed then
        if due.stored then
          redis.call('ZREM', owner.due_key, due.stored)
        end
        if due.sum > 0 then
          local head = tag == '' and text .. ':' or text .. ':' .. tag .. ':'
          redis.call('ZADD', owner.due_key, text, head .. text_of(due.sum))
        end
      end
    end
  end
end
