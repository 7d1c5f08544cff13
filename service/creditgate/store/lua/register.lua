-- What the library offers. The entries differ in what Redis lets them do: `apply` is refused when the store is full,
-- `settle` carries out what makes room or records facts even then, `read` never writes.

-- Carries out the operations ARGV[2..] under the policy ARGV[1]; answers one string for each, in their order. An
-- operation that hits a defect answers INTERNAL and leaves the others alone.
local function run(keys, args, allowed)
  local parts = open_partitions(keys)
  local policy = open_policy(args[1])
  local answers = {}
  for index = 2, #args do
    local blob = args[index]
    local code, part_index = struct.unpack('BB', blob)
    if not allowed[code] then
      answers[index - 1] = failure(ERROR.INTERNAL, code, 'this entry does not carry out that operation')
    else
      local done, answer = pcall(operations[code], parts[part_index], policy, blob)
      answers[index - 1] = done and answer or failure(ERROR.INTERNAL, code, tostring(answer))
    end
  end
  return parts, answers
end

local function entry(allowed_codes)
  local allowed = {}
  for index = 1, #allowed_codes do
    allowed[allowed_codes[index]] = true
  end
  return function(keys, args)
    local parts, answers = run(keys, args, allowed)
    flush(parts)
    return answers
  end
end

redis.register_function('creditgate_apply', entry(OPERATIONS_APPLY))
redis.register_function({
  function_name = 'creditgate_settle', callback = entry(OPERATIONS_SETTLE), flags = { 'allow-oom' },
})
redis.register_function({
  function_name = 'creditgate_read', callback = entry(OPERATIONS_READ), flags = { 'no-writes' },
})
redis.register_function({
  function_name = 'creditgate_list_reservations', callback = list_reservations, flags = { 'no-writes' },
})
redis.register_function({
  function_name = 'creditgate_list_accounts', callback = list_accounts, flags = { 'no-writes' },
})
redis.register_function({ function_name = 'creditgate_sweep', callback = sweep, flags = { 'allow-oom' } })
redis.register_function({ function_name = 'creditgate_retire', callback = retire, flags = { 'allow-oom' } })
redis.register_function({ function_name = 'creditgate_audit', callback = audit, flags = { 'no-writes' } })
redis.register_function({ function_name = 'creditgate_repair', callback = repair, flags = { 'allow-oom' } })
redis.register_function({
  function_name = 'creditgate_library_version', callback = function() return LIBRARY_VERSION end,
  flags = { 'no-writes' },
})
