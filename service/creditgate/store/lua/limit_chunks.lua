-- Chunks of limit batches: which there are, taking rows that were left behind to where their accounts live, and what
-- has become of chunks. WHICH is `s` for rows to be put in force, `u` for rows to be undone.

local KEYS_OF = {
  s = { chunks = key.staged_rows, done = key.rows_applied }, u = { chunks = key.undo_rows, done = key.rows_restored },
}

-- creditgate_list_chunks: ARGV batch id, which. Answers the names of the chunks that are not done, and of rows that
-- were left behind.
local function list_chunks(keys, args)
  local part = open_partitions(keys)[1]
  return redis.call('HKEYS', KEYS_OF[args[2]].chunks(part, args[1]))
end

-- creditgate_read_chunk: ARGV batch id, which, chunk. Answers what is stored, or ''.
local function read_chunk(keys, args)
  local part = open_partitions(keys)[1]
  return redis.call('HGET', KEYS_OF[args[2]].chunks(part, args[1]), args[3]) or ''
end

-- creditgate_take_chunk: ARGV batch id, which, chunk, what was stored elsewhere. Stores it here, unless it is done.
-- Answers 1, or 0 when it is done.
local function take_chunk(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local named = KEYS_OF[args[2]]
  if redis.call('HGET', named.done(part, args[1]), args[3]) then
    return 0
  end
  -- first write
  redis.call('HSET', named.chunks(part, args[1]), args[3], args[4])
  return 1
end

-- creditgate_forget_chunk: ARGV batch id, which, chunk. Forgets rows that have been taken elsewhere.
local function forget_chunk(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  -- first write
  return redis.call('HDEL', KEYS_OF[args[2]].chunks(part, args[1]), args[3])
end

-- creditgate_count_chunks: ARGV batch id, which, cursor, count. Answers { next cursor ('0' at the end), chunk and
-- ROWS_APPLIED, or ROWS_RESTORED, in turn }.
local function count_chunks(keys, args)
  local part = open_partitions(keys)[1]
  return redis.call('HSCAN', KEYS_OF[args[2]].done(part, args[1]), args[3], 'COUNT', args[4])
end

functions[#functions + 1] = { name = 'creditgate_list_chunks', callback = list_chunks, flags = { 'no-writes' } }
functions[#functions + 1] = { name = 'creditgate_read_chunk', callback = read_chunk, flags = { 'no-writes' } }
functions[#functions + 1] = { name = 'creditgate_take_chunk', callback = take_chunk, flags = { 'allow-oom' } }
functions[#functions + 1] = { name = 'creditgate_forget_chunk', callback = forget_chunk, flags = { 'allow-oom' } }
functions[#functions + 1] = { name = 'creditgate_count_chunks', callback = count_chunks, flags = { 'no-writes' } }
