-- creditgate_repair: takes differences off the sums of an account. Differences stay the same while orders run, since an
-- operation changes a sum and what it sums up alike; so nothing has to stand still between finding and repairing them.
-- Only another repair may not come in between: it may have taken off the same.
-- KEYS: the partition. ARGV: account id; the journal's id up to which the differences hold; how much to take off
-- reserved, receivable, secured receivable and pending; then, for each second whose due sum differs, the second and how
-- much to take off. Answers 1, or 0 when the differences have to be found anew.

local REPAIR_ENTRIES_MAX = 64

-- Returns whether a sum of the partition was repaired behind an id of the journal, or may have been.
local function repaired_since(part, id)
  local entries = redis.call('XRANGE', key.journal(part), '(' .. id, '+', 'COUNT', text_of(REPAIR_ENTRIES_MAX))
  for index = 1, #entries do
    local effects, start = entries[index][2][2], 1
    while start <= #effects do
      local size, kind = struct.unpack(LAYOUT.ACCOUNT_EFFECT, effects, start)
      if kind == EFFECT.REPAIRED then
        return true
      end
      start = start + size
    end
  end
  return #entries == REPAIR_ENTRIES_MAX
end

-- Brings several due sums of one second together; returns those that `flush` does not know of and must go.
local function unite_due(acc, second)
  local stored = redis.call('ZRANGEBYSCORE', key.due(acc.part, acc.id), text_of(second), text_of(second))
  local sum = 0
  for index = 1, #stored do
    sum = sum + tonumber(string.match(stored[index], ':(%d+)$'))
  end
  acc.due[second] = { stored = stored[1], sum = sum }
  return { unpack(stored, 2) }
end

local function repair(keys, args)
  local part = open_partitions(keys)[1]
  local acc = load_account(part, args[1])
  if not acc or repaired_since(part, args[2]) then
    return 0
  end
  if not acc.lapsed then
    lapse_due(acc)
  end
  acc.reserved = acc.reserved - tonumber(args[3])
  acc.receivable = acc.receivable - tonumber(args[4])
  acc.secured_receivable = acc.secured_receivable - tonumber(args[5])
  acc.pending = acc.pending - tonumber(args[6])
  local gone = {}
  for index = 7, #args, 2 do
    local second, surplus = tonumber(args[index]), tonumber(args[index + 1])
    if second > part.now_s then
      for _, member in ipairs(unite_due(acc, second)) do
        gone[#gone + 1] = member
      end
      add_due(acc, second, -surplus)
    else
      -- It has fallen due: what was too much of it was taken off the reserved sum too.
      acc.reserved = acc.reserved + surplus
    end
  end
  account_changed(acc, EFFECT.REPAIRED, 0)
  -- first write
  for index = 1, #gone do
    redis.call('ZREM', key.due(part, acc.id), gone[index])
  end
  flush({ part })
  return 1
end
