-- creditgate_measure_rows: tells what rows of a limit batch would do to their accounts as they are now. Reads only.
-- KEYS: the partition. ARGV: the policy, batch id, chunk, 1 to create accounts that don't exist, packed LIMIT_ROWs
-- instead of the chunk's ('' for those), then what bounds the rows that are told in sums (lua/limit_effects.lua).
-- Answers { ROW_EFFECTs in one string, their account ids each with a zero byte, ROW_SUMSs, then partition and
-- LIMIT_ROWs in turn of rows whose accounts live elsewhere }.

local function measure_rows(keys, args)
  local part = open_partitions(keys, open_policy(args[1]), false)[1]
  local blob = args[5] ~= '' and args[5] or redis.call('HGET', key.staged_rows(part, args[2]), args[3]) or ''
  local told = limit_effects.begin(args, 6)
  limit_effects.add(told, part, blob, limit_rows.records(part, blob), args[4] == '1')
  return limit_effects.answer(told)
end

functions[#functions + 1] = { name = 'creditgate_measure_rows', callback = measure_rows, flags = { 'no-writes' } }
