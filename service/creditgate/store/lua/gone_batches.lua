-- Limit batches whose records have made room for others, and whose rows are still to be dropped in all partitions.

-- creditgate_gone_batches: KEYS: the first partition. Answers their ids.
local function gone_batches(keys)
  return redis.call('HKEYS', key.gone_batches(open_partitions(keys)[1]))
end

-- creditgate_forget_batch: forgets one whose rows are dropped. KEYS: the first partition. ARGV: batch id.
local function forget_batch(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  -- first write
  return redis.call('HDEL', key.gone_batches(part), args[1])
end

functions[#functions + 1] = { name = 'creditgate_gone_batches', callback = gone_batches, flags = { 'no-writes' } }
functions[#functions + 1] = { name = 'creditgate_forget_batch', callback = forget_batch, flags = { 'allow-oom' } }
