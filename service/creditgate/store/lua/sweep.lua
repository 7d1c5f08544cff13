-- creditgate_sweep: settles holds whose time is over, oldest first, at most a bounded number a call. Decisions do not
-- wait for it: they subtract what has fallen due by themselves. Each settled hold is journaled at the hold's own time.
-- KEYS: the partition. ARGV: how many references to look at. Answers { settled, looked at, seconds by which the oldest
-- was late }.

-- Settles one hold, if it is still the one that ends by now; returns whether it was.
local function settle_hold(part, account_id, order_id)
  local acc = load_account(part, account_id)
  local order = acc and load_order(acc, order_id)
  if not order or order.state ~= STATE.HELD or order.expire_s > part.now_s then
    return false
  end
  acc.changed = true
  order.state = STATE.EXPIRED
  order.held = 0
  store_order(acc, order_id, order, EFFECT.EXPIRED, '', order.expire_s * 1000)
  return true
end

local function sweep(keys, args)
  local part = open_partitions(keys)[1]
  local bound = tonumber(args[1])
  local due = redis.call('ZRANGEBYSCORE', key.sweep_seconds(part), '-inf', part.now_s, 'LIMIT', 0, 1)
  if #due == 0 then
    return { 0, 0, 0 }
  end
  local second = tonumber(due[1])
  local list_key = key.sweep_list(part, due[1])
  local refs = redis.call('LRANGE', list_key, 0, bound - 1)
  local settled = 0
  for index = 1, #refs do
    local account_id, order_id = string.match(refs[index], '^(.*)|(.*)$')
    if settle_hold(part, account_id, order_id) then
      settled = settled + 1
    end
  end
  -- first write
  flush({ part })
  if #refs < bound then
    redis.call('DEL', list_key)
    redis.call('ZREM', key.sweep_seconds(part), due[1])
  else
    redis.call('LTRIM', list_key, bound, -1)
  end
  return { settled, #refs, part.now_s - second }
end
