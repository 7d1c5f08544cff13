-- creditgate_stage_rows: stores chunks of a limit batch's rows, less those whose accounts other rows have named. KEYS:
-- the partition. ARGV: batch id, then of each chunk: its name, how many rows are named, packed LIMIT_ROWs, account id
-- and row of those named in turn: all, or none where no row can name an account again, since all so far are sorted by
-- account. Answers the index, from 1 and counted through all chunks, and the row that named the account first, in turn,
-- of rows that are left out; or { 0 }, and stores nothing, when all rows of the batch have been there before
-- (lua/drop_rows.lua). The same chunks again change nothing.

-- Returns the account ids of a chunk of so many rows whose arguments begin at a place, and what is left out of it:
-- index in the chunk, from 1, and the row that named the account first, in turn.
local function sort_out(part, batch_id, args, from, count)
  local account_ids = {}
  for index = 1, count do
    account_ids[index] = args[from + 2 * index + 1]
  end
  local named, left_out = redis.call('HMGET', key.staged_accounts(part, batch_id), unpack(account_ids)), {}
  for index = 1, count do
    local first_row = named[index]
    if first_row and first_row ~= args[from + 2 * index + 2] then
      left_out[#left_out + 1] = index
      left_out[#left_out + 1] = tonumber(first_row)
    end
  end
  return account_ids, left_out
end

-- Returns the rows that are kept, and account id and row of each in turn.
local function keep(blob, args, from, left_out)
  local index, next_out, kept, naming = 0, 1, {}, {}
  for row in limit_rows.each(blob) do
    index = index + 1
    if left_out[next_out] == index then
      next_out = next_out + 2
    else
      kept[#kept + 1] = string.sub(blob, row.begins, row.ends)
      naming[#naming + 1], naming[#naming + 2] = args[from + 2 * index + 1], args[from + 2 * index + 2]
    end
  end
  return table.concat(kept), naming
end

local function store(part, batch_id, chunk, blob, ...)
  -- A call that was long under way must not bring back a chunk that is in force by now.
  if blob ~= '' and not redis.call('HGET', key.rows_applied(part, batch_id), chunk) then
    -- first write
    if select('#', ...) > 0 then
      redis.call('HSET', key.staged_accounts(part, batch_id), ...)
    end
    redis.call('HSET', key.staged_rows(part, batch_id), chunk, blob)
  end
end

local NONE = {}

-- Stores a chunk of which so many rows are named and whose arguments begin at a place, and returns what is left out.
-- What its rows would do is told first, if `told` is given.
local function stage_chunk(part, batch_id, args, from, count, told, creates)
  local blob, naming = args[from + 2], nil
  if count == 0 then
    if told then
      limit_effects.add(told, part, blob, limit_rows.records(part, blob), creates)
    end
    store(part, batch_id, args[from], blob)
    return NONE
  end
  local account_ids, left_out = sort_out(part, batch_id, args, from, count)
  if #left_out > 0 then
    blob, naming = keep(blob, args, from, left_out)
  end
  if told then
    local records = naming and limit_rows.records(part, blob) or limit_rows.records_of(part, account_ids)
    limit_effects.add(told, part, blob, records, creates)
  end
  if naming then
    store(part, batch_id, args[from], blob, unpack(naming))
  else
    store(part, batch_id, args[from], blob, unpack(args, from + 3, from + 2 + 2 * count))
  end
  return left_out
end

-- Stores the chunks whose arguments begin at a place, behind the batch id, and returns what is left out of them all.
local function stage(part, args, from, told, creates)
  local batch_id, left_out, rows = args[from], {}, 0
  from = from + 1
  while from < #args do
    local count = tonumber(args[from + 1])
    local of_chunk = stage_chunk(part, batch_id, args, from, count, told, creates)
    for index = 1, #of_chunk, 2 do
      left_out[#left_out + 1] = rows + of_chunk[index]
      left_out[#left_out + 1] = of_chunk[index + 1]
    end
    rows, from = rows + count, from + 3 + 2 * count
  end
  return left_out
end

-- Returns whether all rows of a batch have been there: what they named is not known any more.
local function is_received(part, batch_id)
  return redis.call('HGET', key.staged_accounts(part, batch_id), limit_rows.received)
end

local LATE = { 0 }

local function stage_rows(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  return is_received(part, args[1]) and LATE or stage(part, args, 1)
end

-- creditgate_stage_measured: the same, and tells what the rows that are stored would do. KEYS: the partition. ARGV: the
-- policy, 1 to create accounts that don't exist, what bounds the rows that are told in sums (lua/limit_effects.lua),
-- then as above. Answers { what creditgate_stage_rows does, what creditgate_measure_rows does }.
local function stage_measured(keys, args)
  local part, told = open_partitions(keys, open_policy(args[1]), false)[1], limit_effects.begin(args, 3)
  local left_out = is_received(part, args[7]) and LATE or stage(part, args, 7, told, args[2] == '1')
  return { left_out, limit_effects.answer(told) }
end

-- creditgate_index_rows: remembers which accounts the rows of a chunk name that was stored without. KEYS: the
-- partition. ARGV: batch id, chunk. Answers how many rows those are; 0 when they are remembered already, or when there
-- is no such chunk.
local function index_rows(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local blob = redis.call('HGET', key.staged_rows(part, args[1]), args[2])
  local first = blob and limit_rows.read(blob, 1)
  if not blob or redis.call('HGET', key.staged_accounts(part, args[1]), first.account_id) == text_of(first.number) then
    return 0
  end
  local naming = {}
  for row in limit_rows.each(blob) do
    naming[#naming + 1], naming[#naming + 2] = row.account_id, text_of(row.number)
  end
  -- first write
  redis.call('HSET', key.staged_accounts(part, args[1]), unpack(naming))
  return #naming / 2
end

functions[#functions + 1] = { name = 'creditgate_index_rows', callback = index_rows, flags = {} }
functions[#functions + 1] = { name = 'creditgate_stage_rows', callback = stage_rows, flags = {} }
functions[#functions + 1] = { name = 'creditgate_stage_measured', callback = stage_measured, flags = {} }
