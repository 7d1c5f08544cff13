-- creditgate_retire: cleans up what ended longer ago than it has to be kept, oldest first, at most a bounded number a
-- call. Ended orders and markers of amends are forgotten; entries of the ledger are folded into the opening balance.
-- What belongs to an order that is kept is kept as long.
-- KEYS: the partition. ARGV: how many references to look at, the retention in seconds. Answers { cleaned up, looked at,
-- seconds by which the oldest was late }.

-- Returns until when an order has to be kept; it may be open for long.
local function kept_until(order, retention_s)
  return (is_open(order) and math.max(order.update_s, order.expire_s) or order.update_s) + retention_s
end

-- Keeps what belongs to an order that is kept: looks at it again when that is over. Returns whether it has to be kept.
local function keep_with_order(acc, order_id, field, retention_s)
  local order = load_order(acc, order_id)
  local until_s = order and kept_until(order, retention_s) or 0
  if until_s > acc.part.now_s then
    retire_later(acc.part, until_s - retention_s, acc.id, field)
    return true
  end
  return false
end

-- Forgets an order. One that the sweeper has not settled yet comes again from there.
local function retire_order(acc, order_id, retention_s)
  local order = load_order(acc, order_id)
  if not order or is_open(order) or keep_with_order(acc, order_id, 'o:' .. order_id, retention_s) then
    return false
  end
  acc.orders[order_id] = { removed = true }
  journal_entry(acc, EFFECT.FORGOTTEN, 'o:' .. order_id, '')
  return true
end

local function retire_marker(acc, field, retention_s)
  local order_id = string.match(field, '^a:([^|]*)|')
  if not load_ledger_entry(acc, field) or keep_with_order(acc, order_id, field, retention_s) then
    return false
  end
  acc.ledger[field] = { removed = true }
  journal_entry(acc, EFFECT.FORGOTTEN, field, '')
  return true
end

-- Folds an entry into the opening balance. Its order goes with it: a commit that is repeated later finds neither.
local function retire_entry(acc, field, retention_s)
  local entry = load_ledger_entry(acc, field)
  if not entry then
    return false
  end
  local _, _, _, _, _, _, _, order_id = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
  if order_id ~= '' and keep_with_order(acc, order_id, field, retention_s) then
    return false
  end
  if not fold_entry(acc, field, entry) then
    retire_later(acc.part, acc.part.now_s, acc.id, field)
    return false
  end
  if order_id ~= '' then
    retire_order(acc, order_id, retention_s)
  end
  return true
end

local function retire(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local bound, retention_s = tonumber(args[1]), tonumber(args[2])
  local ripe = math.floor((part.now_s - retention_s) / RETENTION_STEP_S) - 1
  local cleaned = 0
  local looked_at, step = work_off(part, key.retention_steps(part), key.retention_list, ripe, bound,
    function(account_id, field)
      local acc = load_account(part, account_id)
      if not acc and part.accounts[account_id] then
        retire_later(part, part.now_s, account_id, field) -- it is being moved, and may stay
      end
      local kind = string.sub(field, 1, 2)
      local retire_field = kind == 'a:' and retire_marker or retire_entry
      if acc and (kind == 'o:' and retire_order(acc, string.sub(field, 3), retention_s)
        or kind ~= 'o:' and retire_field(acc, field, retention_s)) then
        cleaned = cleaned + 1
      end
    end)
  return { cleaned, looked_at, step and part.now_s - retention_s - (step + 1) * RETENTION_STEP_S or 0 }
end

functions[#functions + 1] = { name = 'creditgate_retire', callback = retire, flags = { 'allow-oom' } }
