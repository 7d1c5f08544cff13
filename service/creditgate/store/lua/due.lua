-- Sums that fall due at a second: a sorted set whose members are `second:sum`, or `second:TAG:sum` where an owner keeps
-- several sums. An owner (an account or a group) keeps its next due second; it may be early, never late. A group keeps
-- what falls due last in its own record (lua/unsorted_due.lua).

local NO_DUE = {}

-- Returns the key of an owner's sorted set. That of a group, which few orders look at, is spelled when it is needed.
local function due_key_of(part, owner)
  return owner.due_key or key.group_due(part, owner.id)
end

-- Takes what has fallen due off its owner, once `next_due` has come: `take_off(tag, sum)` does so.
local function lapse_due(part, owner, take_off)
  local now = second_text(part, part.now_s)
  local due_key = due_key_of(part, owner)
  local fallen = redis.call('ZRANGEBYSCORE', due_key, '-inf', now)
  for index = 1, #fallen do
    take_off(parse_due(fallen[index]))
  end
  local following = redis.call('ZRANGEBYSCORE', due_key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  local next_due, next_unsorted = tonumber(following[2] or '0'), 0
  if owner.unsorted then
    next_unsorted = unsorted_due.lapse(owner, part.now_s, take_off)
  end
  owner.next_due = next_due == 0 and next_unsorted or next_due
  owner.lapsed = true
end

-- Returns the stored sums of a second, by tag.
local function read_due(part, owner, second)
  local at, text = {}, second_text(part, second)
  local members = redis.call('ZRANGEBYSCORE', due_key_of(part, owner), text, text)
  for index = 1, #members do
    local tag, sum = parse_due(members[index])
    at[tag] = { stored = members[index], sum = sum, changed = false }
  end
  return at
end

-- Adds to a sum of the sorted set, and returns it. Reads the stored sums now, so that `flush` only writes.
local function add_sorted(part, owner, second, tag, amount)
  local seconds = owner.due or {}
  owner.due = seconds
  local at = seconds[second]
  if not at then
    at = read_due(part, owner, second)
    seconds[second] = at
  end
  local due = at[tag]
  if due then
    due.sum, due.changed = due.sum + amount, true
  else
    due = { sum = amount, changed = true }
    at[tag] = due
  end
  return due.sum
end

-- Adds to what falls due at a second (a negative amount takes off).
local function add_due(part, owner, second, tag, amount)
  if amount == 0 then
    return
  end
  if owner.unsorted and unsorted_due.is_full(owner) then
    unsorted_due.sort(part, owner, second)
  end
  local sum
  if owner.unsorted and owner.sorted_until < second then
    sum = unsorted_due.add(owner, second, tag, amount)
  else
    sum = add_sorted(part, owner, second, tag, amount)
  end
  if sum > 0 and (owner.next_due == 0 or second < owner.next_due) then
    owner.next_due = second
  end
end

-- Calls `visit(second, tag, sum)` for all that falls due later, as it is within this call.
local function each_due(part, owner, visit)
  local seconds = owner.due or NO_DUE
  local members
    = redis.call('ZRANGEBYSCORE', due_key_of(part, owner), '(' .. text_of(part.now_s), '+inf', 'WITHSCORES')
  for index = 1, #members, 2 do
    local second = tonumber(members[index + 1])
    if not seconds[second] then
      visit(second, parse_due(members[index]))
    end
  end
  for second, at in pairs(seconds) do
    for tag, due in pairs(at) do
      if second > part.now_s and due.sum > 0 then
        visit(second, tag, due.sum)
      end
    end
  end
  unsorted_due.each(owner, part.now_s, visit)
end

-- Lets all that falls due of a group stand in its sorted set, and what will fall due up to a second. So each of many
-- sums is added without a look at all the others.
function unsorted_due.sort(part, group, until_s)
  local unsorted, last = {}, math.max(group.sorted_until, until_s)
  unsorted_due.each(group, part.now_s, function(second, currency, sum)
    unsorted[#unsorted + 1] = { second = second, currency = currency, sum = sum }
    last = math.max(last, second)
  end)
  group.unsorted, group.sorted_until = '', last
  for index = 1, #unsorted do
    local due = unsorted[index]
    add_sorted(part, group, due.second, due.currency, due.sum)
  end
end

-- Writes the sums of the sorted set that have changed.
local function write_sorted(part, owner)
  local due_key = due_key_of(part, owner)
  for second, at in pairs(owner.due) do
    local text = second_text(part, second)
    for tag, due in pairs(at) do
      if due.changed then
        if due.stored then
          redis.call('ZREM', due_key, due.stored)
        end
        if due.sum > 0 then
          redis.call('ZADD', due_key, text, due_member(text, tag, due.sum))
        end
      end
    end
  end
end

local function write_due(part, owner)
  if owner.lapsed then
    redis.call('ZREMRANGEBYSCORE', due_key_of(part, owner), '-inf', second_text(part, part.now_s))
  end
  if owner.due then
    write_sorted(part, owner)
  end
  if owner.unsorted then
    unsorted_due.write(part, owner)
  end
end
