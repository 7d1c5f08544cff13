-- creditgate_stage_rows: stores a chunk of a limit batch's rows, less those whose accounts other rows have named.
-- KEYS: the partition. ARGV: batch id, chunk, packed LIMIT_ROWs, then account id and row of each in turn. Answers the
-- index, from 1, and the row that named the account first, in turn, of rows that are left out. The same chunk again
-- changes nothing.

local function stage_rows(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local batch_id, chunk, blob = args[1], args[2], args[3]
  local accounts_key = key.staged_accounts(part, batch_id)
  local account_ids = {}
  for index = 4, #args, 2 do
    account_ids[#account_ids + 1] = args[index]
  end
  local named = redis.call('HMGET', accounts_key, unpack(account_ids))
  local naming, left_out, kept = {}, {}, false
  for index = 1, #account_ids do
    local number = args[2 * index + 3]
    if named[index] and named[index] ~= number then
      left_out[#left_out + 1] = index
      left_out[#left_out + 1] = tonumber(named[index])
    else
      naming[#naming + 1] = account_ids[index]
      naming[#naming + 1] = number
    end
  end
  if #left_out > 0 then
    local index, next_out = 0, 1
    kept = {}
    for row in limit_rows.each(blob) do
      index = index + 1
      if left_out[next_out] == index then
        next_out = next_out + 2
      else
        kept[#kept + 1] = string.sub(blob, row.begins, row.ends)
      end
    end
  end
  -- A call that was long under way must not bring back a chunk that is in force by now.
  if #naming > 0 and not redis.call('HGET', key.rows_applied(part, batch_id), chunk) then
    -- first write
    redis.call('HSET', accounts_key, unpack(naming))
    redis.call('HSET', key.staged_rows(part, batch_id), chunk, kept and table.concat(kept) or blob)
  end
  return left_out
end

functions[#functions + 1] = { name = 'creditgate_stage_rows', callback = stage_rows, flags = {} }
