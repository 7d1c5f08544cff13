-- creditgate_stage_rows: stores a chunk of a limit batch's rows, less those whose accounts other rows have named.
-- KEYS: the partition. ARGV: batch id, chunk, packed LIMIT_ROWs, then account id and row of each in turn. Answers the
-- index, from 1, and the row that named the account first, in turn, of rows that are left out. The same chunk again
-- changes nothing.

-- Returns what a chunk whose arguments begin at a place stores: its rows, and account id and row of each in turn; and
-- what it leaves out.
local function sort_out(part, args, from)
  local blob, naming, account_ids, count = args[from + 2], {}, {}, 0
  for index = from + 3, #args, 2 do
    count = count + 1
    account_ids[count] = args[index]
  end
  local named, left_out = redis.call('HMGET', key.staged_accounts(part, args[from]), unpack(account_ids)), {}
  for index = 1, count do
    local number = args[from + 2 * index + 2]
    if named[index] and named[index] ~= number then
      left_out[#left_out + 1] = index
      left_out[#left_out + 1] = tonumber(named[index])
    else
      naming[#naming + 1] = account_ids[index]
      naming[#naming + 1] = number
    end
  end
  if #left_out == 0 then
    return blob, naming, left_out
  end
  local index, next_out, kept = 0, 1, {}
  for row in limit_rows.each(blob) do
    index = index + 1
    if left_out[next_out] == index then
      next_out = next_out + 2
    else
      kept[#kept + 1] = string.sub(blob, row.begins, row.ends)
    end
  end
  return table.concat(kept), naming, left_out
end

local function store(part, batch_id, chunk, blob, naming)
  -- A call that was long under way must not bring back a chunk that is in force by now.
  if #naming > 0 and not redis.call('HGET', key.rows_applied(part, batch_id), chunk) then
    -- first write
    redis.call('HSET', key.staged_accounts(part, batch_id), unpack(naming))
    redis.call('HSET', key.staged_rows(part, batch_id), chunk, blob)
  end
end

local function stage_rows(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local blob, naming, left_out = sort_out(part, args, 1)
  store(part, args[1], args[2], blob, naming)
  return left_out
end

-- creditgate_stage_measured: the same, and tells what the rows that are stored would do. KEYS: the partition. ARGV: the
-- policy, 1 to create accounts that don't exist, what bounds the rows that are told in sums (lua/limit_effects.lua),
-- then as above. Answers { what creditgate_stage_rows does, what creditgate_measure_rows does }.
local function stage_measured(keys, args)
  local part = open_partitions(keys, open_policy(args[1]), false)[1]
  local blob, naming, left_out = sort_out(part, args, 7)
  local told = limit_effects.begin(args, 3)
  limit_effects.add(told, part, blob, args[2] == '1')
  store(part, args[7], args[8], blob, naming)
  return { left_out, limit_effects.answer(told) }
end

functions[#functions + 1] = { name = 'creditgate_stage_rows', callback = stage_rows, flags = {} }
functions[#functions + 1] = { name = 'creditgate_stage_measured', callback = stage_measured, flags = {} }
