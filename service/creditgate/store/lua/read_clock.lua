-- creditgate_read_clock: KEYS: a partition. Answers its time, in milliseconds. Reads only.

local function read_clock(keys)
  return open_partitions(keys)[1].now_ms
end

functions[#functions + 1] = { name = 'creditgate_read_clock', callback = read_clock, flags = { 'no-writes' } }
