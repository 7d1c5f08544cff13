-- creditgate_get_limit_batch: reads the record of a limit batch. KEYS: the first partition. ARGV: batch id. Answers
-- { revision, when it was created and changed, in milliseconds, record, then row and what is wrong with it in turn };
-- nothing when there is no such batch.

local function get_limit_batch(keys, args)
  local part = open_partitions(keys)[1]
  local stored = redis.call('HMGET', key.limit_batch(part, args[1]), 'revision', 'create_ms', 'update_ms', 'record')
  if not stored[1] then
    return {}
  end
  local errors_keys = { key.limit_batch_errors(part, args[1]), key.limit_batch_measured(part, args[1]) }
  for which = 1, #errors_keys do
    local errors = redis.call('HGETALL', errors_keys[which])
    for index = 1, #errors do
      stored[#stored + 1] = errors[index]
    end
  end
  return stored
end

functions[#functions + 1] = { name = 'creditgate_get_limit_batch', callback = get_limit_batch, flags = { 'no-writes' } }
