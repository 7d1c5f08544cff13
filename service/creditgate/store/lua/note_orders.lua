-- creditgate_note_orders: notes that a server has orders, and tells when another one had some. KEYS: the first
-- partition. ARGV: the server's id, 1 if it has had orders since it last asked, else 0. Answers how many milliseconds
-- ago another server had some, -1 when none had of late.

local KEPT_MS = 60000

local function note_orders(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local noted, latest, gone = redis.call('HGETALL', key.servers_with_orders(part)), -1, {}
  for index = 1, #noted, 2 do
    local age = math.max(0, part.now_ms - tonumber(noted[index + 1]))
    if age > KEPT_MS then
      gone[#gone + 1] = noted[index]
    elseif noted[index] ~= args[1] and (latest < 0 or age < latest) then
      latest = age
    end
  end
  -- first write
  if #gone > 0 then
    redis.call('HDEL', key.servers_with_orders(part), unpack(gone))
  end
  if args[2] == '1' then
    redis.call('HSET', key.servers_with_orders(part), args[1], text_of(part.now_ms))
  end
  return latest
end

functions[#functions + 1] = { name = 'creditgate_note_orders', callback = note_orders, flags = { 'allow-oom' } }
