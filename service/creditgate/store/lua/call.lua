-- One call of the library: the partitions it touches, their clocks, and what it is going to write.
--
-- A call has two halves. In the first, operations read and change only Lua tables, so that one that fails leaves
-- nothing behind. In the second, `flush` writes everything; nothing in it can fail. Redis does not undo a function
-- half way.

-- What functions that decide nothing see of the policy.
local NO_POLICY = {
  shadow = false, credit_counts = false, hold_default_s = 1, hold_longest_s = 1, version = '', offsets = {},
  classes = { ['|'] = { credit_counts = false, rules = {}, by_code = {} } }, resolved = {}, resolved_count = 0,
}

-- Returns the partition behind a declared key. Time never goes back within a partition, even after a failover to a
-- server whose clock is behind.
local function open_partition(prefix, time, policy, writes)
  -- With room for all that a call adds: a table that grows costs more than this one.
  local part = {
    prefix = prefix, accounts = {}, elsewhere = {}, effects = {}, sweep = {}, names = {}, second_texts = {},
    retired = {}, strings = {}, groups = {}, group_names = {}, rates = {}, policy = policy, writes = writes,
    now_ms = 0, stored_s = 0, now_s = 0, changed = false,
  }
  part.now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  part.stored_s = tonumber(redis.call('GET', key.clock(part)) or '0')
  if part.stored_s * 1000 > part.now_ms then
    part.now_ms = part.stored_s * 1000
  end
  part.now_s = math.floor(part.now_ms / 1000)
  return part
end

-- Returns the partitions of a call. Without a policy, rules and switches are those of none; `writes` says whether the
-- call may change accounts.
local function open_partitions(keys, policy, writes)
  local time = redis.call('TIME')
  local parts = {}
  for index = 1, #keys do
    parts[index] = open_partition(keys[index], time, policy or NO_POLICY, writes)
  end
  return parts
end

-- Remembers an effect for the journal entry of this call, in two pieces. An effect begins with its length and its kind,
-- and suffices to redo its change.
local function journal_effect(part, head, tail)
  part.changed = true
  local effects = part.effects
  local count = #effects
  effects[count + 1] = head
  effects[count + 2] = tail
end

-- Marks an account as changed, journals it as it is now with who changed it and why, and returns it as the answer.
local function account_changed(acc, effect_kind, actor, reason, answer_flags)
  acc.changed = true
  local answer = account_answer(acc, answer_flags)
  local size = EFFECT_HEAD.ACCOUNT + #actor + #reason + #answer
  journal_effect(acc.part,
    struct.pack(LAYOUT.ACCOUNT_EFFECT, size, effect_kind, acc.part.now_ms, actor, reason), answer)
  return answer
end

-- Appends a reference to the list that a queue has at a score.
local function add_ref(lists, score, ref)
  local refs = lists[score]
  if refs then
    refs[#refs + 1] = ref
  else
    lists[score] = { ref }
  end
end

-- Remembers that the sweeper has to look at a reservation at a second.
local function sweep_later(part, second, account_id, order_id)
  add_ref(part.sweep, second, account_id .. '|' .. order_id)
  part.changed = true
end

-- Remembers that what `field` names (`o:` order id, or a field of the ledger) may be cleaned up once the retention,
-- counted from a second, is over.
local function retire_later(part, second, account_id, field)
  add_ref(part.retired, math.floor(second / RETENTION_STEP_S), account_id .. '|' .. field)
  part.changed = true
end

local flush

do
  -- How many keys and values one command writes; Lua's `unpack` has a bound of some thousands.
  local STRINGS_AT_ONCE = 1000

  -- Writes the changed records of a hash: field -> { changed, record } or { removed }, or false for a field that is
  -- known to be absent.
  local function write_changed(hash_key, records)
    local fields, count, removed = nil, 0, nil
    for field, entry in pairs(records) do
      if entry and entry.changed then
        fields = fields or { field, entry.record }
        fields[count + 1], fields[count + 2] = field, entry.record
        count = count + 2
      elseif entry and entry.removed then
        removed = removed or {}
        removed[#removed + 1] = field
      end
    end
    if fields then
      redis.call('HSET', hash_key, unpack(fields, 1, count))
    end
    if removed then
      redis.call('HDEL', hash_key, unpack(removed))
    end
  end

  -- Appends references to the lists of a queue of the partition: score -> references.
  local function write_queue(part, queue_key, list_key_of, lists)
    for score, refs in pairs(lists) do
      local text = second_text(part, score)
      redis.call('RPUSH', list_key_of(part, text), unpack(refs))
      redis.call('ZADD', queue_key, text, text)
    end
  end

  local function write_texts(texts_key, texts)
    for name, text in pairs(texts) do
      if text == '' then
        redis.call('HDEL', texts_key, name)
      else
        redis.call('HSET', texts_key, name, text)
      end
    end
  end

  -- Writes what waits for an account, since when, and when that is to be judged anew: when the limit next changes by
  -- itself. What waits already has waited longer.
  local function write_waiting(part, acc)
    local waiting_key = key.waiting(part, acc.id)
    for order_id, waits in pairs(acc.waiting) do
      if waits then
        redis.call('ZADD', waiting_key, 'NX', text_of(part.now_ms), order_id)
      else
        redis.call('ZREM', waiting_key, order_id)
      end
    end
    if redis.call('ZRANGE', waiting_key, '0', '0')[1] then
      local second = next_limit_second(acc)
      redis.call('ZADD', key.waiting_accounts(part), second and text_of(second) or '+inf', acc.id)
    else
      redis.call('ZREM', key.waiting_accounts(part), acc.id)
    end
  end

  local function write_account(part, acc)
    if acc.changed then
      write_string(part, key.account(part, acc.id), pack_account(acc))
      write_due(part, acc)
      drop_velocity_key(acc)
    end
    write_changed(key.orders(part, acc.id), acc.orders)
    if acc.ledger then
      write_changed(key.ledger(part, acc.id), acc.ledger)
    end
    if acc.texts then
      write_texts(key.texts(part, acc.id), acc.texts)
    end
    if acc.waiting then
      write_waiting(part, acc)
    end
  end

  local function write_partition(part)
    for _, acc in pairs(part.accounts) do
      if acc then
        write_account(part, acc)
      end
    end
    for _, group in pairs(part.groups) do
      if group then
        write_group(part, group)
      end
    end
    for group_id, name in pairs(part.group_names) do
      redis.call('HSET', key.group_names(part), group_id, name)
    end
    for account_id, name in pairs(part.names) do
      redis.call('HSET', key.names(part), account_id, name)
    end
    write_queue(part, key.sweep_seconds(part), key.sweep_list, part.sweep)
    write_queue(part, key.retention_steps(part), key.retention_list, part.retired)
    if #part.effects > 0 then
      redis.call('XADD', key.journal(part), 'MAXLEN', '~', JOURNAL_ENTRIES_MAX, '*', 'e', table.concat(part.effects))
    end
    if part.now_s > part.stored_s then
      write_string(part, key.clock(part), second_text(part, part.now_s))
    end
    local strings = part.strings
    for from = 1, #strings, STRINGS_AT_ONCE do
      redis.call('MSET', unpack(strings, from, math.min(#strings, from + STRINGS_AT_ONCE - 1)))
    end
  end

  -- Writes what the operations of this call have changed. A call that changed nothing writes nothing.
  function flush(parts)
    -- first write
    for index = 1, #parts do
      local part = parts[index]
      if part.changed then
        write_partition(part)
      end
    end
  end
end

-- Takes references from the head of a queue's first list that is ripe, and drops the list when that was all. `settle`
-- says what becomes of each, in the call's tables. Returns how many there were, and the list's score, if there was one.
local function work_off(part, queue_key, list_key_of, ripe, bound, settle)
  local first = redis.call('ZRANGEBYSCORE', queue_key, '-inf', text_of(ripe), 'LIMIT', '0', '1')[1]
  if not first then
    return 0
  end
  local list_key = list_key_of(part, first)
  local length = redis.call('LLEN', list_key)
  local refs = redis.call('LRANGE', list_key, '0', text_of(bound - 1))
  for index = 1, #refs do
    settle(string.match(refs[index], '^([^|]*)|(.*)$'))
  end
  -- first write
  flush({ part })
  if length <= bound then
    redis.call('DEL', list_key)
    redis.call('ZREM', queue_key, first)
  else
    redis.call('LTRIM', list_key, text_of(bound), '-1')
  end
  return #refs, tonumber(first)
end
