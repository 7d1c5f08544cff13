-- What falls due last of an owner whose sums change with every order of many accounts, a group. It stands in the
-- owner's own record, which is written anyway: packed DUE_SUMs by second, one for a second and a tag. All of them fall
-- due after the second `sorted_until`; what falls due until then stands in the sorted set (lua/due.lua). Mostly what is
-- new falls due last; so an order reads and writes no sorted set, but for one in many, when all goes into it. Where a
-- call adds many, they go there before: each would look at all others, and one command has no room for thousands.

local unsorted_due = { CALL_MAX = 200 }

-- Returns the member of the sorted set for a sum.
local function due_member(text, tag, sum)
  local head = tag == '' and text .. ':' or text .. ':' .. tag .. ':'
  return head .. text_of(sum)
end

-- Returns the tag ('' for none) and the sum of a member.
local function parse_due(member)
  local tag, sum = string.match(member, '^%d+:(%u*):?(%d+)$')
  return tag, tonumber(sum)
end

-- Returns the last second of a group's sorted set, 0 when it is empty.
function unsorted_due.last_sorted(part, group_id)
  return tonumber(redis.call('ZRANGE', key.group_due(part, group_id), '-1', '-1', 'WITHSCORES')[2] or '0')
end

-- Calls `visit(second, tag, sum, at)` for each of packed sums, until it returns true.
local function each_unsorted(unsorted, visit)
  for at = 1, #unsorted, SIZE.DUE_SUM do
    local second, tag, sum = struct.unpack(LAYOUT.DUE_SUM, unsorted, at)
    if visit(second, tag, sum, at) then
      return
    end
  end
end

-- Calls `visit(second, tag, sum)` for all that falls due after a second.
function unsorted_due.each(owner, after_s, visit)
  each_unsorted(owner.unsorted or '', function(second, tag, sum)
    if second > after_s then
      visit(second, tag, sum)
    end
  end)
end

-- Takes off what has fallen due by a second, and returns when the next does, 0 for never.
function unsorted_due.lapse(owner, now_s, take_off)
  local later, next_due = #owner.unsorted + 1, 0
  each_unsorted(owner.unsorted, function(second, tag, sum, at)
    if second > now_s then
      later, next_due = at, second
      return true
    end
    take_off(tag, sum)
  end)
  owner.unsorted = string.sub(owner.unsorted, later)
  return next_due
end

-- Puts a sum in the place of so many bytes; one that is used up is gone. Returns it.
local function put_unsorted(owner, at, length, second, tag, sum)
  local unsorted = owner.unsorted
  owner.unsorted = string.sub(unsorted, 1, at - 1) .. (sum > 0 and struct.pack(LAYOUT.DUE_SUM, second, tag, sum) or '')
    .. string.sub(unsorted, at + length)
  return sum
end

-- Adds to a sum that falls due before the last one, or beside it, and returns it.
local function add_before_last(owner, second, tag, amount)
  local place, length, found = #owner.unsorted + 1, 0, 0
  each_unsorted(owner.unsorted, function(other_second, other_tag, sum, at)
    if other_second == second and other_tag == tag then
      place, length, found = at, SIZE.DUE_SUM, sum
      return true
    elseif other_second > second then
      place = at
      return true
    end
  end)
  return put_unsorted(owner, place, length, second, tag, found + amount)
end

-- Adds to a sum, and returns it. Mostly it is the last one, or a new one after that.
function unsorted_due.add(owner, second, tag, amount)
  local size = #owner.unsorted
  if size == 0 then
    return put_unsorted(owner, 1, 0, second, tag, amount)
  end
  local at = size + 1 - SIZE.DUE_SUM
  local last_second, last_tag, last_sum = struct.unpack(LAYOUT.DUE_SUM, owner.unsorted, at)
  if last_second == second and last_tag == tag then
    return put_unsorted(owner, at, SIZE.DUE_SUM, second, tag, last_sum + amount)
  elseif last_second < second and amount > 0 then
    owner.unsorted = owner.unsorted .. struct.pack(LAYOUT.DUE_SUM, second, tag, amount)
    return amount
  end
  return add_before_last(owner, second, tag, amount)
end

-- Returns whether there are so many that the next ones are to be added to the sorted set.
function unsorted_due.is_full(owner)
  return #owner.unsorted >= unsorted_due.CALL_MAX * SIZE.DUE_SUM
end

-- Lets all go into the sorted set when they are many.
function unsorted_due.write(part, owner)
  if #owner.unsorted <= UNSORTED_MAX * SIZE.DUE_SUM then
    return
  end
  local scored = {}
  each_unsorted(owner.unsorted, function(second, tag, sum)
    local text = second_text(part, second)
    scored[#scored + 1] = text
    scored[#scored + 1] = due_member(text, tag, sum)
    owner.sorted_until = second
  end)
  owner.unsorted = ''
  redis.call('ZADD', key.group_due(part, owner.id), unpack(scored))
end
