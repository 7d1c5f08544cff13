-- creditgate_apply_rows: puts a chunk of a limit batch in force, keeps what undoes it, and notes what has become of it.
-- KEYS: the partition. ARGV: the policy, batch id, chunk, model version, 1 to create accounts that don't exist. Answers
-- ROWS_APPLIED, the first answer again for a chunk that is done; '' when there is no such chunk; or ACCOUNT_MOVING when
-- an account of the chunk is just being moved, and nothing is done.

local FATE_OF = {
  [true] = { [true] = ROW_FATE.CREATED_SCHEDULED, [false] = ROW_FATE.CREATED },
  [false] = { [true] = ROW_FATE.SCHEDULED, [false] = ROW_FATE.APPLIED },
}

-- What the rows of a chunk become, gathered row by row; `records` and `texts` are arguments of the writes.
local function new_outcome()
  return {
    fates = {}, befores = {}, records = {}, written = 0, texts = {}, moved = {}, moved_count = 0, refused = {},
    over = {}, applied = 0, scheduled = 0, created = 0, skipped = 0, released = 0,
  }
end

local function refuse(outcome, number, account_id, fate, currency)
  if fate == ROW_FATE.SKIPPED then
    outcome.skipped = outcome.skipped + 1
  else
    outcome.refused[#outcome.refused + 1] = struct.pack(LAYOUT.ROW_REFUSED, number, fate, account_id, currency)
  end
  return fate
end

local function put_text(part, outcome, account_id, name, text)
  local texts = outcome.texts
  texts[#texts + 1] = { key.texts(part, account_id), name, text }
end

-- Keeps the reasons of a limit that a row has replaced, or takes away those of the one before.
local function put_reasons(part, outcome, acc, row, scheduled, before_reasoned)
  if row.reasons ~= '' or before_reasoned then
    put_text(part, outcome, row.account_id, reasons_name(acc, scheduled), row.reasons)
  end
end

-- Lets a row count for its account.
local function let_count(part, outcome, acc, row)
  outcome.befores[outcome.applied + 1] = limit_rows.pack_before(part, acc, row.account_id)
  local scheduled, reasoned = acc.scheduled, acc.reasoned
  if row.effective_s > part.now_s then
    limit_rows.replace_schedule(acc, row)
    put_reasons(part, outcome, acc, row, true, scheduled and scheduled.reasoned)
    return
  end
  if scheduled and scheduled.version < row.version then
    acc.scheduled = false
  end
  limit_rows.replace_base(acc, row, part.now_s)
  put_reasons(part, outcome, acc, row, false, reasoned)
end

-- Counts what a row has done, and returns its fate.
local function count_row(part, outcome, row, creates)
  local is_scheduled = row.effective_s > part.now_s
  outcome.applied = outcome.applied + 1
  outcome.scheduled = outcome.scheduled + (is_scheduled and 1 or 0)
  outcome.created = outcome.created + (creates and 1 or 0)
  return FATE_OF[creates][is_scheduled]
end

-- Applies a row to a record without furniture: what `apply_furnished` does, without tables for the row and the account.
-- Returns its fate, or nil when the record is another.
local function apply_plain(part, outcome, record_key, record, number, row_flags, limit, version, expire_s, score, code,
    account_id, risk_class, reasons)
  local flags, reserved, receivable, secured_receivable, next_due, limit_before, expire_before_s, confirm_before_s,
    version_before, create_ms, epoch, currency, class_before, score_before, velocity = unpack_plain(part, record)
  if not flags then
    return nil
  elseif code ~= currency then
    return refuse(outcome, number, account_id, ROW_FATE.CURRENCY_MISMATCH, currency)
  elseif version <= version_before then
    return refuse(outcome, number, account_id, ROW_FATE.SKIPPED, currency)
  end
  local reasons_before = ''
  if flags >= ACCOUNT_FLAG.REASONED then
    reasons_before = limit_rows.stored_reasons(part, account_id, nil, false)
  end
  if reasons ~= '' or reasons_before ~= '' then
    put_text(part, outcome, account_id, 'limit_reasons', reasons)
  end
  local count, written, is_unlimited = outcome.applied + 1, outcome.written, row_flags % 2 >= LIMIT_ROW_FLAG.UNLIMITED
  outcome.applied, outcome.written = count, written + 2
  outcome.befores[count] = struct.pack(LAYOUT.LIMIT_BEFORE, flags, limit_before, expire_before_s, confirm_before_s,
    score_before, class_before, reasons_before, '')
  local exposure = reserved + receivable
  if exposure > limit and not is_unlimited and not (exposure > limit_before
      and flags % (2 * ACCOUNT_FLAG.LIMIT_SET) >= ACCOUNT_FLAG.LIMIT_SET
      and flags % (2 * ACCOUNT_FLAG.UNLIMITED) < ACCOUNT_FLAG.UNLIMITED) then
    outcome.over[#outcome.over + 1] = account_id .. '\0'
  end
  local new_flags = flags % ACCOUNT_FLAG.UNLIMITED
    + (flags % (2 * ACCOUNT_FLAG.BLOCKED) >= ACCOUNT_FLAG.BLOCKED and ACCOUNT_FLAG.BLOCKED or 0)
    + (is_unlimited and ACCOUNT_FLAG.UNLIMITED or ACCOUNT_FLAG.LIMIT_SET)
    + (row_flags >= LIMIT_ROW_FLAG.SCORED and ACCOUNT_FLAG.SCORED or 0) + (reasons ~= '' and ACCOUNT_FLAG.REASONED or 0)
  local records = outcome.records
  records[written + 1] = record_key
  records[written + 2] = pack_plain(new_flags, reserved, receivable, secured_receivable, next_due, limit, expire_s,
    part.now_s, version, create_ms, epoch, currency, risk_class ~= '' and risk_class or class_before, score, velocity)
  return ROW_FATE.APPLIED
end

local function apply_furnished(part, outcome, acc, row, creates)
  local hindrance = limit_rows.hindrance(acc, row, part.now_s)
  if hindrance then
    return refuse(outcome, row.number, row.account_id, hindrance, acc.currency)
  end
  local free = limit_rows.free(acc)
  let_count(part, outcome, acc, row)
  settle_limit(acc)
  acc.changed, part.changed = true, true
  if free >= 0 and limit_rows.free(acc) < 0 then
    outcome.over[#outcome.over + 1] = row.account_id .. '\0'
  end
  outcome.released = outcome.released + limit_changed(acc)
  return count_row(part, outcome, row, creates)
end

-- Applies a row whose account is not here as it is asked for; returns its fate, or nil when it has to wait.
local function apply_absent(part, outcome, blob, row, creates)
  local partition, moving = limit_rows.elsewhere(part, row.account_id)
  if partition then
    limit_rows.leave_behind(outcome.moved, partition, string.sub(blob, row.begins, row.ends))
    outcome.moved_count = outcome.moved_count + 1
    return ROW_FATE.MOVED
  elseif moving then
    return nil
  elseif not creates then
    return refuse(outcome, row.number, row.account_id, ROW_FATE.UNKNOWN_ACCOUNT, '')
  end
  local acc = new_account(part, row.account_id, row.currency)
  part.accounts[row.account_id], part.names[row.account_id] = acc, ''
  return apply_furnished(part, outcome, acc, row, true)
end

local function pack_outcome(outcome)
  return struct.pack(LAYOUT.ROWS_APPLIED, 0, outcome.moved_count, outcome.applied, outcome.scheduled, outcome.created,
    outcome.skipped, outcome.released, #outcome.refused, #outcome.over)
    .. table.concat(outcome.refused) .. table.concat(outcome.over)
end

-- Applies a row whose account has furniture, or is not here; returns its fate, or nil when it has to wait.
local function apply_row(part, outcome, blob, row, creates)
  local acc = load_account(part, row.account_id)
  if acc then
    return apply_furnished(part, outcome, acc, row, false)
  end
  return apply_absent(part, outcome, blob, row, creates)
end

-- Lets the rows of a chunk count; returns what they become, or nil when an account is just being moved.
local function carry_out(part, blob, creates)
  local outcome, now_s, at, size, index = new_outcome(), part.now_s, 1, #blob, 0
  local records, record_keys = limit_rows.records(part, blob)
  local fates = outcome.fates
  while at <= size do
    local number, flags, limit, version, effective_s, expire_s, score, currency, account_id, risk_class, reasons, after
      = struct.unpack(LAYOUT.LIMIT_ROW, blob, at)
    index = index + 1
    local record, fate = records[index], nil
    if effective_s <= now_s and record and #record > SIZE.MOVED_STUB then
      fate = apply_plain(part, outcome, record_keys[index], record, number, flags, limit, version, expire_s, score,
        currency, account_id, risk_class, reasons)
    end
    fate = fate or apply_row(part, outcome, blob, limit_rows.read(blob, at), creates)
    if not fate then
      return nil
    end
    fates[index], at = fate, after
  end
  return outcome
end

local function write_outcome(part, batch_id, chunk, outcome, undo, packed)
  local staged_key = key.staged_rows(part, batch_id)
  -- first write
  if #outcome.records > 0 then
    redis.call('MSET', unpack(outcome.records))
  end
  for index = 1, #outcome.texts do
    local text = outcome.texts[index]
    if text[3] == '' then
      redis.call('HDEL', text[1], text[2])
    else
      redis.call('HSET', text[1], text[2], text[3])
    end
  end
  for partition, items in pairs(outcome.moved) do
    redis.call('HSET', staged_key, chunk .. '>' .. text_of(partition), table.concat(items))
  end
  if undo then
    redis.call('HSET', key.undo_rows(part, batch_id), chunk, undo)
  end
  redis.call('HSET', key.rows_applied(part, batch_id), chunk, packed)
  redis.call('HDEL', staged_key, chunk)
  flush({ part })
end

local function apply_rows(keys, args)
  local part = open_partitions(keys, open_policy(args[1]), true)[1]
  local batch_id, chunk = args[2], args[3]
  local done = redis.call('HGET', key.rows_applied(part, batch_id), chunk)
  local blob = not done and redis.call('HGET', key.staged_rows(part, batch_id), chunk)
  if not blob then
    return done or ''
  end
  local outcome = carry_out(part, blob, args[5] == '1')
  if not outcome then
    return failure(ERROR.ACCOUNT_MOVING)
  end
  local undo
  if outcome.applied > 0 then
    undo = limit_rows.pack_undo(outcome.fates, blob, outcome.befores)
    -- What stood before is not needed to do it again.
    limit_rows.journal(part, EFFECT.LIMITS_APPLIED, batch_id, args[4], limit_rows.pack_undo(outcome.fates, blob, {}))
  end
  local packed = pack_outcome(outcome)
  write_outcome(part, batch_id, chunk, outcome, undo, packed)
  return packed
end

functions[#functions + 1] = { name = 'creditgate_apply_rows', callback = apply_rows, flags = {} }
