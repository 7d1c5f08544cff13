-- creditgate_sweep: looks at what is due in the queue, oldest first, a bounded number a call. An order, held or waiting
-- for a person, is settled when its time is over, and journaled as of then: decisions do not wait for that, they
-- subtract what has fallen due by themselves. What waits for an account whose limit has changed by itself is judged
-- anew (lua/reviews.lua). KEYS: the partition. ARGV: how many references to look at, the policy. Answers { settled,
-- looked at, seconds by which the oldest was late }.

-- An account that is being moved is looked at again later, should it stay.
local MOVE_PATIENCE_S = 60

-- What waits is judged by servers that tell the policy; those of an older release leave it to them.
local POLICY_PATIENCE_S = 60

-- How many orders that wait a call looks at before it leaves other accounts to the next second.
local WAITING_MAX = 100

-- Returns an account that may be changed; one that is being moved is looked at again later.
local function load_due(part, account_id, order_id)
  local acc = load_account(part, account_id)
  if not acc and part.accounts[account_id] then
    sweep_later(part, part.now_s + MOVE_PATIENCE_S, account_id, order_id)
  end
  return acc
end

-- Settles one order, if it is still the one that ends by now; returns whether it was. Its sums fell due by themselves.
local function settle_hold(part, account_id, order_id)
  local acc = load_due(part, account_id, order_id)
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

-- Judges anew what waits for an account, once a call; returns how many orders were looked at.
local function look_at_waiting(part, account_id, seen)
  if seen[account_id] then
    return 0
  end
  seen[account_id] = true
  local acc = load_due(part, account_id, '')
  if not acc then
    return 0
  end
  local _, looked_at = limit_changed(acc)
  return looked_at
end

local function sweep(keys, args)
  local policy = args[2] and open_policy(args[2])
  local part = open_partitions(keys, policy, true)[1]
  local settled, waiting, seen = 0, 0, {}
  local looked_at, second = work_off(part, key.sweep_seconds(part), key.sweep_list, part.now_s, tonumber(args[1]),
    function(account_id, order_id)
      if order_id ~= '' then
        settled = settled + (settle_hold(part, account_id, order_id) and 1 or 0)
      elseif not policy then
        sweep_later(part, part.now_s + POLICY_PATIENCE_S, account_id, '')
      elseif waiting >= WAITING_MAX then
        sweep_later(part, part.now_s + 1, account_id, '')
      else
        waiting = waiting + look_at_waiting(part, account_id, seen)
      end
    end)
  return { settled, looked_at, second and part.now_s - second or 0 }
end

functions[#functions + 1] = { name = 'creditgate_sweep', callback = sweep, flags = { 'allow-oom' } }
