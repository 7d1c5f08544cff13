-- creditgate_measure_rows: tells what rows of a limit batch would do to their accounts as they are now. Reads only: the
-- rows are let count, and nothing of that is written.
-- KEYS: the partition. ARGV: the policy, batch id, chunk, 1 to create accounts that don't exist, packed LIMIT_ROWs
-- instead of the chunk's ('' for those). Answers { ROW_EFFECTs in one string, their account ids each with a zero byte,
-- then partition and LIMIT_ROWs in turn of rows whose accounts live elsewhere }.

local STANDING_OF = {
  [ROW_FATE.SKIPPED] = ROW_STANDING.SKIPPED, [ROW_FATE.CURRENCY_MISMATCH] = ROW_STANDING.CURRENCY_MISMATCH,
}

-- Packs the effect of a row that does not count.
local function no_effect(row, standing, currency)
  return struct.pack(LAYOUT.ROW_EFFECT, row.number, standing, 0, 0, 0, 0, 0, 0, 0, currency)
end

-- Lets a row count for an account, and packs what that does; a row that counts later is measured as of then.
local function effect_of(part, acc, row, standing)
  local exposure, free = exposure_of(acc), limit_rows.free(acc)
  local flags = (acc.limit_set and ROW_EFFECT_FLAG.BEFORE_SET or 0)
    + (acc.unlimited and ROW_EFFECT_FLAG.UNLIMITED_BEFORE or 0)
    + (row.unlimited and ROW_EFFECT_FLAG.UNLIMITED_AFTER or 0)
  local before = acc.limit
  limit_rows.replace_base(acc, row, part.now_s)
  settle_limit(acc)
  local free_after = limit_rows.free(acc)
  local fitting = acc.pending > 0 and release_fitting(acc) or 0
  return struct.pack(LAYOUT.ROW_EFFECT, row.number, standing,
    flags + (free >= 0 and free_after < 0 and ROW_EFFECT_FLAG.OVER_LIMIT or 0), before, row.limit, exposure,
    math.max(0, free), math.max(0, free_after), fitting, acc.currency)
end

-- Packs the effect of a row whose account is not here, or returns where it lives.
local function absent_effect(part, row, creates)
  local partition = limit_rows.elsewhere(part, row.account_id)
  if partition then
    return nil, partition
  elseif creates then
    return effect_of(part, new_account(part, row.account_id, row.currency), row, ROW_STANDING.NEW_ACCOUNT)
  end
  return no_effect(row, ROW_STANDING.UNKNOWN_ACCOUNT, '   ')
end

-- Packs the effect of a row on a record without furniture: what `effect_of` does, without a table for the account.
-- Returns nil when the record is another.
local function plain_effect(part, row, record)
  local flags, reserved, receivable, _, _, limit, _, _, version, _, _, currency = unpack_plain(part, record)
  if not flags then
    return nil
  elseif row.currency ~= currency then
    return no_effect(row, ROW_STANDING.CURRENCY_MISMATCH, currency)
  elseif row.version <= version then
    return no_effect(row, ROW_STANDING.SKIPPED, currency)
  end
  local exposure, free, free_after, marks = reserved + receivable, 0, 0, 0
  if flags % (2 * ACCOUNT_FLAG.LIMIT_SET) >= ACCOUNT_FLAG.LIMIT_SET then
    free, marks = limit - exposure, ROW_EFFECT_FLAG.BEFORE_SET
  end
  if flags % (2 * ACCOUNT_FLAG.UNLIMITED) >= ACCOUNT_FLAG.UNLIMITED then
    free, marks = 0, marks + ROW_EFFECT_FLAG.UNLIMITED_BEFORE
  end
  if row.unlimited then
    marks = marks + ROW_EFFECT_FLAG.UNLIMITED_AFTER
  else
    free_after = row.limit - exposure
  end
  if free_after < 0 and free >= 0 then
    marks = marks + ROW_EFFECT_FLAG.OVER_LIMIT
  end
  return struct.pack(LAYOUT.ROW_EFFECT, row.number, ROW_STANDING.APPLICABLE, marks, limit, row.limit, exposure,
    free > 0 and free or 0, free_after > 0 and free_after or 0, 0, currency)
end

local function measure_row(part, row, record, creates)
  local effect = limit_rows.is_account(record) and plain_effect(part, row, record)
  if effect then
    return effect
  end
  local acc = load_account(part, row.account_id)
  -- An account that is being moved is where it was, until it has arrived.
  acc = acc or part.accounts[row.account_id]
  if not acc then
    return absent_effect(part, row, creates)
  end
  local hindrance = limit_rows.hindrance(acc, row, part.now_s)
  if hindrance then
    return no_effect(row, STANDING_OF[hindrance], acc.currency)
  end
  return effect_of(part, acc, row, ROW_STANDING.APPLICABLE)
end

local function measure_rows(keys, args)
  local part = open_partitions(keys, open_policy(args[1]), false)[1]
  local blob = args[5] ~= '' and args[5] or redis.call('HGET', key.staged_rows(part, args[2]), args[3]) or ''
  local effects, account_ids, moved = {}, {}, {}
  local records, index = limit_rows.records(part, blob), 0
  for row in limit_rows.each(blob) do
    index = index + 1
    local effect, partition = measure_row(part, row, records[index], args[4] == '1')
    if effect then
      effects[#effects + 1] = effect
      account_ids[#account_ids + 1] = row.account_id .. '\0'
    else
      limit_rows.leave_behind(moved, partition, string.sub(blob, row.begins, row.ends))
    end
  end
  local answer = { table.concat(effects), table.concat(account_ids) }
  for partition, items in pairs(moved) do
    answer[#answer + 1] = text_of(partition)
    answer[#answer + 1] = table.concat(items)
  end
  return answer
end

functions[#functions + 1] = { name = 'creditgate_measure_rows', callback = measure_rows, flags = { 'no-writes' } }
