-- creditgate_judge_waiting: judges anew what waits for a person where a limit has changed by itself, or a group's has
-- risen (lua/reviews.lua); a bounded number of orders a call. KEYS: the partition. ARGV: about how many orders to look
-- at, the policy. Answers { released, looked at: accounts and groups, 0: there was nothing to do }.

local ACCOUNTS_MAX = 100

-- Judges what waits for an account; returns how many orders are released, and of how many.
local function look_at_account(part, account_id)
  local acc = load_account(part, account_id)
  if acc then
    acc.waiting, part.changed = acc.waiting or {}, true
    return limit_changed(acc)
  end
  return 0, 0
end

-- Returns the second from which on something waits for an account.
local function waits_since(part, account_id)
  local oldest = redis.call('ZRANGE', key.waiting(part, account_id), '0', '0', 'WITHSCORES')
  return oldest[2] and math.floor(tonumber(oldest[2]) / 1000) or part.now_s
end

-- Searches some of the accounts of which something waits for those of a group; returns the cursor behind them, and the
-- seconds and the names of those found. What has waited longest comes first.
local function search_group(part, group_id, cursor)
  local reply = redis.call('ZSCAN', key.waiting_accounts(part), cursor, 'COUNT', text_of(ACCOUNTS_MAX))
  local found = {}
  for index = 1, #reply[2], 2 do
    local account_id = reply[2][index]
    -- One that is being moved is found here, too.
    local acc = not string.find(account_id, '|', 1, true)
      and (load_account(part, account_id) or part.accounts[account_id])
    if acc and acc.group_id == group_id then
      found[#found + 1] = text_of(waits_since(part, account_id))
      found[#found + 1] = account_id
    end
  end
  return reply[1], found
end

local function look_at_group(part, ref, group_id, cursor)
  local next_cursor, found = search_group(part, group_id, cursor)
  -- first write
  redis.call('ZREM', key.waiting_accounts(part), ref)
  if #found > 0 then
    redis.call('ZADD', key.waiting_accounts(part), unpack(found))
  end
  if next_cursor ~= '0' then
    redis.call('ZADD', key.waiting_accounts(part), text_of(part.now_s), raised_group(group_id, next_cursor))
  end
  return { 0, 1 }
end

-- Says when accounts that are just being moved are looked at again, should they stay, and forgets those that are not
-- here.
local function put_off(part, account_ids)
  for index = 1, #account_ids do
    local account_id = account_ids[index]
    if part.accounts[account_id] then
      redis.call('ZADD', key.waiting_accounts(part), text_of(part.now_s + MOVE_PATIENCE_S), account_id)
    else
      redis.call('ZREM', key.waiting_accounts(part), account_id)
    end
  end
end

local function judge_waiting(keys, args)
  local part = open_partitions(keys, open_policy(args[2]), true)[1]
  local due = redis.call('ZRANGEBYSCORE', key.waiting_accounts(part), '-inf', text_of(part.now_s), 'LIMIT', '0',
    text_of(ACCOUNTS_MAX))
  local released, orders, looked_at, left_out = 0, 0, 0, {}
  for index = 1, #due do
    local group_id, cursor = string.match(due[index], '^|([^|]*)|(.*)$')
    if group_id and looked_at == 0 then
      return look_at_group(part, due[index], group_id, cursor)
    elseif group_id or orders >= tonumber(args[1]) then
      break
    end
    local of_account, of_orders = look_at_account(part, due[index])
    released, orders, looked_at = released + of_account, orders + of_orders, looked_at + 1
    if not part.accounts[due[index]] or part.accounts[due[index]].moving then
      left_out[#left_out + 1] = due[index]
    end
  end
  -- first write
  flush({ part })
  put_off(part, left_out)
  return { released, looked_at }
end

functions[#functions + 1] = { name = 'creditgate_judge_waiting', callback = judge_waiting, flags = { 'allow-oom' } }
