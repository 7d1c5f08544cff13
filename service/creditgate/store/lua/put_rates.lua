-- creditgate_put_rates: replaces exchange rates of a partition, where they are not older than those that are there.
-- KEYS: the partition. ARGV: version, end in seconds (0: none), then pairs and packed RATEs in turn. Answers how many
-- were applied, or refuses an end that is past: INVALID_FIELD.

local function put_rates(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local version, expire_s = tonumber(args[1]), tonumber(args[2])
  if expire_s ~= 0 and expire_s <= part.now_s then
    return refusal(ERROR.INVALID_FIELD, part.now_ms, 'expire_time')
  end
  local fields = {}
  for index = 3, #args, 2 do
    local stored = redis.call('HGET', key.rates(part), args[index])
    if not stored or struct.unpack(LAYOUT.STORED_RATE, stored) <= version then
      local record = struct.pack(LAYOUT.STORED_RATE, version, expire_s) .. args[index + 1]
      fields[#fields + 1] = args[index]
      fields[#fields + 1] = record
      journal_effect(part, struct.pack(LAYOUT.ENTRY_EFFECT, EFFECT_HEAD.ENTRY + #args[index] + #record,
        EFFECT.RATE_CHANGED, part.now_ms, 0, 0, 0, 0, '', args[index]), record)
    end
  end
  -- first write
  for index = 1, #fields, 2 do
    redis.call('HSET', key.rates(part), fields[index], fields[index + 1])
  end
  flush({ part })
  return #fields / 2
end

functions[#functions + 1] = { name = 'creditgate_put_rates', callback = put_rates, flags = {} }
