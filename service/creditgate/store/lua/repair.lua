-- creditgate_repair: takes differences off the sums of an account. Differences stay the same while orders run, since an
-- operation changes a sum and what it sums up alike; so nothing has to stand still between finding and repairing them.
-- Only another repair may not come in between: it may have taken off the same.
-- KEYS: the partition. ARGV: account id; the journal's id up to which the differences hold; how much to take off
-- reserved, receivable, secured receivable and pending; then, for each due sum that differs, its second, its tag and
-- how much to take off. Answers 1, or 0 when the differences have to be found anew.

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

-- Brings several due sums of one second and tag together; those that `flush` does not know of are added to `gone`.
local function unite_due(acc, second, gone)
  if acc.due[second] then
    return
  end
  local at = {}
  local stored = redis.call('ZRANGEBYSCORE', acc.due_key, text_of(second), text_of(second))
  for index = 1, #stored do
    local tag, sum = parse_due(stored[index])
    if at[tag] then
      at[tag].sum, at[tag].changed = at[tag].sum + sum, true
      gone[#gone + 1] = stored[index]
    else
      at[tag] = { stored = stored[index], sum = sum }
    end
  end
  acc.due[second] = at
end

local function repair(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local acc = load_account(part, args[1])
  if not acc or repaired_since(part, args[2]) then
    return 0
  end
  if not acc.lapsed then
    lapse_account(part, acc)
  end
  acc.reserved = acc.reserved - tonumber(args[3])
  acc.receivable = acc.receivable - tonumber(args[4])
  acc.secured_receivable = acc.secured_receivable - tonumber(args[5])
  acc.pending = acc.pending - tonumber(args[6])
  local gone = {}
  for index = 7, #args, 3 do
    local second, tag, surplus = tonumber(args[index]), args[index + 1], tonumber(args[index + 2])
    -- What has fallen due was taken off its sum with what was too much of it.
    if second > part.now_s then
      unite_due(acc, second, gone)
      add_due(part, acc, second, tag, -surplus)
    elseif tag == DUE_PENDING then
      acc.pending = acc.pending + surplus
    else
      acc.reserved = acc.reserved + surplus
    end
  end
  account_changed(acc, EFFECT.REPAIRED, '', '', 0)
  -- first write
  for index = 1, #gone do
    redis.call('ZREM', acc.due_key, gone[index])
  end
  flush({ part })
  return 1
end

functions[#functions + 1] = { name = 'creditgate_repair', callback = repair, flags = { 'allow-oom' } }
