-- creditgate_put_limit_batch: writes the record of a limit batch, if its revision is still the one that the caller has
-- read. A change of state is journaled. A new batch makes room for itself: of those that are over, records go; their
-- rows are left to lua/gone_batches.lua, and until those are dropped nobody may take their ids.
-- KEYS: the first partition. ARGV: batch id, revision (0: there is none yet), state, model version, record, the states
-- in which a batch is over (a 1 for each in their order), then row and what is wrong with it in turn. Answers
-- { revision, when it was created and changed, in milliseconds }; or { -1 } when it has another revision, { -2 } when
-- there is no room.

-- Returns the ids of as many as `surplus` batches that were in force and may go: those first that have been as they are
-- for longest. The last active ones stay, as they can be rolled back and the next batch is compared with them.
local function outlived(in_force, surplus)
  table.sort(in_force, function(one, other)
    return one.since_ms < other.since_ms or one.since_ms == other.since_ms and one.id < other.id
  end)
  local active, may_go, ids = 0, {}, {}
  for index = #in_force, 1, -1 do
    active = active + (in_force[index].is_active and 1 or 0)
    may_go[index] = not in_force[index].is_active or active > UNDO_BATCHES_MAX
  end
  for index = 1, #in_force do
    if may_go[index] and #ids < surplus then
      ids[#ids + 1] = in_force[index].id
    end
  end
  return ids
end

-- Returns the ids of batches that a new one takes the place of; or nil when too many must stay. Of those of which no
-- limit has ever been in force, the oldest go first.
local function outdated(part, over)
  local ids = redis.call('ZRANGE', key.limit_batches(part), '0', '-1')
  local surplus, found, in_force = #ids + 1 - LIMIT_BATCHES_MAX, {}, {}
  if surplus <= 0 then
    return found
  end
  local states = batch_states(part)
  for index = 1, #ids do
    if #found >= surplus then
      return found
    end
    local state = batch_state(part, states, ids[index])
    if not state or state == BATCH_STATE.CANCELLED or state == BATCH_STATE.FAILED then
      found[#found + 1] = ids[index]
    elseif string.sub(over, state, state) == '1' then
      local since_ms = tonumber(redis.call('HGET', key.limit_batch(part, ids[index]), 'update_ms'))
      in_force[#in_force + 1] = { id = ids[index], is_active = state == BATCH_STATE.ACTIVE, since_ms = since_ms }
    end
  end
  local others = outlived(in_force, surplus - #found)
  for index = 1, #others do
    found[#found + 1] = others[index]
  end
  return #found >= surplus and found or nil
end

-- Returns the new errors as arguments of a write, as many as there is room for beside those that are kept.
local function new_errors(errors_key, kept, args)
  local room = ROW_ERRORS_MAX - kept
  local fields = {}
  for index = 7, #args, 2 do
    if room > 0 and not redis.call('HGET', errors_key, args[index]) then
      fields[#fields + 1] = { args[index], args[index + 1] }
      room = room - 1
    end
  end
  return fields
end

-- Writes the record; with `measured` the errors are all that measuring has found.
local function put(keys, args, measured)
  local part = open_partitions(keys, nil, true)[1]
  local batch_id, revision, state = args[1], tonumber(args[2]), args[3]
  local batch_key, errors_key = key.limit_batch(part, batch_id), key.limit_batch_errors(part, batch_id)
  local measured_key = key.limit_batch_measured(part, batch_id)
  local stored = redis.call('HMGET', batch_key, 'revision', 'state', 'create_ms', 'errors')
  if tonumber(stored[1] or '0') ~= revision
    or revision == 0 and redis.call('HGET', key.gone_batches(part), batch_id) then
    return { -1 }
  end
  local dropped = {}
  if revision == 0 then
    dropped = outdated(part, args[6])
  end
  if not dropped then
    return { -2 }
  end
  local error_count = tonumber(stored[4] or '0')
  local errors = new_errors(errors_key, error_count, args)
  local create_ms, now = stored[3] or text_of(part.now_ms), text_of(part.now_ms)
  if state ~= stored[2] then
    limit_rows.journal(part, EFFECT.LIMIT_BATCH_CHANGED, batch_id, args[4], args[5])
  end
  -- first write
  for index = 1, #dropped do
    redis.call('ZREM', key.limit_batches(part), dropped[index])
    redis.call('UNLINK', key.limit_batch(part, dropped[index]), key.limit_batch_errors(part, dropped[index]),
      key.limit_batch_measured(part, dropped[index]))
    redis.call('HDEL', key.batch_states(part), dropped[index])
    redis.call('HSET', key.gone_batches(part), dropped[index], now)
  end
  if measured then
    redis.call('UNLINK', measured_key)
  else
    error_count = error_count + #errors
  end
  for index = 1, #errors do
    redis.call('HSET', measured and measured_key or errors_key, errors[index][1], errors[index][2])
  end
  redis.call('HSET', batch_key, 'revision', text_of(revision + 1), 'state', state, 'create_ms', create_ms, 'update_ms',
    now, 'errors', text_of(error_count), 'record', args[5])
  redis.call('HSET', key.batch_states(part), batch_id, state)
  redis.call('ZADD', key.limit_batches(part), create_ms, batch_id)
  flush({ part })
  return { revision + 1, tonumber(create_ms), part.now_ms }
end

local function put_limit_batch(keys, args)
  return put(keys, args, false)
end

-- creditgate_put_measured_batch: the same for a batch that has just been measured or put in force: what is wrong with
-- rows takes the place of what an earlier measure has found, and leaves what was wrong on receipt.
local function put_measured_batch(keys, args)
  return put(keys, args, true)
end

functions[#functions + 1] = {
  name = 'creditgate_put_limit_batch', callback = put_limit_batch, flags = { 'allow-oom' },
}
functions[#functions + 1] = {
  name = 'creditgate_put_measured_batch', callback = put_measured_batch, flags = { 'allow-oom' },
}
