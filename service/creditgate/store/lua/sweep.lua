-- creditgate_sweep: settles holds, and reservations that wait for a person, whose time is over, oldest first, a bounded
-- number a call. Decisions do not wait for it: they subtract what has fallen due by themselves. Settling marks the
-- reservation and journals it as of its own time. KEYS: the partition. ARGV: how many references to look at. Answers
-- { settled, looked at, seconds by which the oldest was late }.

-- Settles one order, if it is still the one that ends by now; returns whether it was. Its sums fell due by themselves.
-- One of an account that is just being moved is looked at again later, should the account stay.
local function settle_hold(part, account_id, order_id)
  local acc = load_account(part, account_id)
  if not acc and part.accounts[account_id] then
    sweep_later(part, part.now_s + MOVE_PATIENCE_S, account_id, order_id)
  end
  local order = acc and load_order(acc, order_id)
  if not order or not is_open(order) or order.expire_s > part.now_s then
    return false
  end
  acc.changed = true
  order.held = 0
  end_order(acc, order_id, order, STATE.EXPIRED)
  store_order(acc, order_id, order, EFFECT.EXPIRED, '', order.expire_s * 1000, '')
  return true
end

local function sweep(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local settled = 0
  local looked_at, second = work_off(part, key.sweep_seconds(part), key.sweep_list, part.now_s, tonumber(args[1]),
    function(account_id, order_id)
      settled = settled + (settle_hold(part, account_id, order_id) and 1 or 0)
    end)
  return { settled, looked_at, second and part.now_s - second or 0 }
end

functions[#functions + 1] = { name = 'creditgate_sweep', callback = sweep, flags = { 'allow-oom' } }
