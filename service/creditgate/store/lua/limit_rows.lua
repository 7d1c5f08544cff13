-- Rows of limit batches against their accounts. Rows are staged in chunks, in the partitions of their accounts. A chunk
-- is put in force, what undoes it is kept, and what has become of it is noted, in one step; a chunk that is noted is
-- done. Rows whose accounts live elsewhere stay behind as the chunk `CHUNK>PARTITION`, until they are taken there as
-- the chunk `CHUNK~PARTITION`, or `CHUNK^PARTITION` of what undoes them, named by where they come from
-- (lua/limit_chunks.lua).

-- `received` marks among the accounts that rows name, where it is the id of none, that all rows have been there.
local limit_rows = { received = '' }

local one_row = {}

-- Reads the row of a chunk that begins at a place, into one table for all of them, as a table for each would cost more
-- than all that is done with it. `begins` and `ends` tell where it is in the chunk.
function limit_rows.read(blob, at)
  local row, flags, score, after = one_row
  row.begins = at
  row.number, flags, row.limit, row.version, row.effective_s, row.expire_s, score, row.currency, row.account_id,
    row.risk_class, row.reasons, after = struct.unpack(LAYOUT.LIMIT_ROW, blob, at)
  row.ends = after - 1
  row.unlimited, row.score = flags % 2 >= LIMIT_ROW_FLAG.UNLIMITED, flags >= LIMIT_ROW_FLAG.SCORED and score
  return row
end

-- Goes through the rows of a chunk: returns an iterator that returns row after row.
function limit_rows.each(blob)
  local at, size = 1, #blob
  return function()
    if at > size then
      return nil
    end
    local row = limit_rows.read(blob, at)
    at = row.ends + 1
    return row
  end
end

-- Returns the records of accounts, and their keys: one command reads all.
function limit_rows.records_of(part, account_ids)
  local keys, of_accounts = {}, key.account(part, '')
  for index = 1, #account_ids do
    keys[index] = of_accounts .. account_ids[index]
  end
  return #keys > 0 and redis.call('MGET', unpack(keys)) or {}, keys
end

-- Returns the records of the accounts of a chunk's rows, and their keys.
function limit_rows.records(part, blob)
  local account_ids, count, at, size = {}, 0, 1, #blob
  while at <= size do
    count = count + 1
    local account_id, _, _, after = struct.unpack('<sss', blob, at + LIMIT_ROW_NUMBERS)
    account_ids[count], at = account_id, after
  end
  return limit_rows.records_of(part, account_ids)
end

-- Returns why a row does not count for an account, or nil when it does.
function limit_rows.hindrance(acc, row, now_s)
  if row.currency ~= acc.currency then
    return ROW_FATE.CURRENCY_MISMATCH
  end
  local scheduled = acc.scheduled
  if row.version <= acc.limit_version or row.effective_s > now_s and scheduled and row.version <= scheduled.version then
    return ROW_FATE.SKIPPED
  end
end

-- Returns what is free below the limit that counts, below 0 for an account that is over it; 0 where no limit counts.
function limit_rows.free(acc)
  return acc.has_limit and not acc.no_ceiling and acc.effective_limit - exposure_of(acc) or 0
end

-- Makes a row the base limit of an account.
function limit_rows.replace_base(acc, row, now_s)
  acc.limit_set, acc.limit, acc.unlimited = not row.unlimited, row.limit, row.unlimited
  acc.limit_expire_s, acc.limit_confirm_s, acc.limit_version = row.expire_s, now_s, row.version
  if row.risk_class ~= '' then
    acc.risk_class = row.risk_class
  end
  acc.score, acc.reasoned = row.score, row.reasons ~= ''
end

-- Makes a row the scheduled limit of an account.
function limit_rows.replace_schedule(acc, row)
  acc.furnished = true
  acc.scheduled = {
    unlimited = row.unlimited, limit = row.limit, version = row.version, effective_s = row.effective_s,
    expire_s = row.expire_s, score = row.score, risk_class = row.risk_class, reasoned = row.reasons ~= '',
  }
end

local PLAIN = { reasons_swapped = false }

-- Returns the reasons that stand with an account's limit; without `acc`, of a plain account.
function limit_rows.stored_reasons(part, account_id, acc, scheduled)
  return redis.call('HGET', key.texts(part, account_id), reasons_name(acc or PLAIN, scheduled)) or ''
end

-- Packs the base limit of an account as it is before a row changes it.
function limit_rows.pack_before(part, acc, account_id)
  local scheduled = acc.scheduled
  local before = struct.pack(LAYOUT.LIMIT_BEFORE, account_flags(acc), acc.limit, acc.limit_expire_s,
    acc.limit_confirm_s, acc.score or 0, acc.risk_class,
    acc.reasoned and limit_rows.stored_reasons(part, account_id, acc, false) or '',
    scheduled and scheduled.reasoned and limit_rows.stored_reasons(part, account_id, acc, true) or '')
  return scheduled and before .. pack_schedule(scheduled) or before
end

-- Returns what stood before a row, and where it ends.
function limit_rows.unpack_before(blob, at)
  local before = {}
  local flags, score
  flags, before.limit, before.expire_s, before.confirm_s, score, before.risk_class, before.reasons,
    before.scheduled_reasons, at = struct.unpack(LAYOUT.LIMIT_BEFORE, blob, at)
  before.limit_set, before.unlimited = has_flag(flags, ACCOUNT_FLAG.LIMIT_SET), has_flag(flags, ACCOUNT_FLAG.UNLIMITED)
  before.score = has_flag(flags, ACCOUNT_FLAG.SCORED) and score
  if has_flag(flags, ACCOUNT_FLAG.SCHEDULED) then
    before.scheduled, at = unpack_schedule(blob, at)
  end
  return before, at
end

-- Packs what undoes a chunk: what has become of its rows, the rows, and what stood before.
function limit_rows.pack_undo(fates, blob, befores)
  return struct.pack(LAYOUT.LIMIT_UNDO, #fates, #blob) .. string.char(unpack(fates)) .. blob .. table.concat(befores)
end

-- Returns what has become of a chunk's rows, the rows, and what stood before those in force.
function limit_rows.unpack_undo(undo)
  local count, rows_size = struct.unpack(LAYOUT.LIMIT_UNDO, undo)
  local rows_at = SIZE.LIMIT_UNDO + count + 1
  local blob = string.sub(undo, rows_at, rows_at + rows_size - 1)
  return { string.byte(undo, SIZE.LIMIT_UNDO + 1, rows_at - 1) }, blob, string.sub(undo, rows_at + rows_size)
end

-- Remembers for the journal what happened to a batch.
function limit_rows.journal(part, effect_kind, batch_id, model_version, record)
  local size = EFFECT_HEAD.BATCH + #batch_id + #model_version + #record
  journal_effect(part,
    struct.pack(LAYOUT.BATCH_EFFECT, size, effect_kind, part.now_ms, batch_id, model_version), record)
end

-- Returns where a row goes whose account is not here: to the partition that a stub names. Or nothing, and whether the
-- account is just being moved.
function limit_rows.elsewhere(part, account_id)
  local stub = part.elsewhere[account_id]
  if stub then
    local _, partition = struct.unpack(LAYOUT.MOVED_STUB, stub)
    return partition
  end
  return nil, part.accounts[account_id] and true or false
end

-- Keeps an item for the partition that it goes to.
function limit_rows.leave_behind(moved, partition, item)
  local items = moved[partition]
  if not items then
    items = {}
    moved[partition] = items
  end
  items[#items + 1] = item
end
