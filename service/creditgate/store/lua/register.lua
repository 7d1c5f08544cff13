-- What the library offers. The entries differ in what Redis lets them do: `apply` is refused when the store is full,
-- `settle` carries out what makes room or records facts even then, `read` never writes.

-- Carries out the operations ARGV[2..] under the policy ARGV[1]; answers one string for each, in their order. An
-- operation that hits a defect answers INTERNAL and leaves the others alone.
local function run(keys, args, allowed, writes)
  local parts = open_partitions(keys, open_policy(args[1]), writes)
  local answers = {}
  for index = 2, #args do
    local blob = args[index]
    local code, part_index = string.byte(blob, 1, 2)
    if not allowed[code] then
      answers[index - 1] = failure(ERROR.INTERNAL, code, 'this entry does not carry out that operation')
    else
      local done, answer = pcall(operations[code], parts[part_index], blob)
      answers[index - 1] = done and answer or failure(ERROR.INTERNAL, code, tostring(answer))
    end
  end
  return parts, answers
end

local function entry(allowed_codes, writes)
  local allowed = {}
  for index = 1, #allowed_codes do
    allowed[allowed_codes[index]] = true
  end
  return function(keys, args)
    local parts, answers = run(keys, args, allowed, writes)
    flush(parts)
    return answers
  end
end

functions[#functions + 1] = { name = 'creditgate_apply', callback = entry(OPERATIONS_APPLY, true), flags = {} }
functions[#functions + 1] = {
  name = 'creditgate_settle', callback = entry(OPERATIONS_SETTLE, true), flags = { 'allow-oom' },
}
functions[#functions + 1] = {
  name = 'creditgate_read', callback = entry(OPERATIONS_READ, false), flags = { 'no-writes' },
}
functions[#functions + 1] = {
  name = 'creditgate_library_version',
  callback = function() return LIBRARY_VERSION end, flags = { 'no-writes' },
}

local function bound(callback)
  return function(keys, args)
    bind_globals()
    return callback(keys, args)
  end
end

for index = 1, #functions do
  local described = functions[index]
  register_function({
    function_name = described.name, callback = bound(described.callback), flags = described.flags,
  })
end
