-- creditgate_restore_rows: restores the limits before a chunk of a limit batch, where they have not been changed since.
-- The versions stay. KEYS: the partition. ARGV: the policy, batch id, chunk, model version, and the second by which the
-- limits of the batch were in force, 0 (or nothing) when those of others may have come by then. Answers ROWS_RESTORED,
-- the first answer again for a chunk that is done; '' when there is nothing to undo; or ACCOUNT_MOVING when an account
-- of the chunk is just being moved, and nothing is done.

local IN_FORCE = {
  [ROW_FATE.APPLIED] = true, [ROW_FATE.SCHEDULED] = true, [ROW_FATE.CREATED] = true,
  [ROW_FATE.CREATED_SCHEDULED] = true,
}

-- Returns whether a limit is still what a row has made it.
local function is_of(row, version, limit, unlimited, expire_s)
  return version == row.version and limit == row.limit and unlimited == row.unlimited and expire_s == row.expire_s
end

-- Returns whether the base limit of an account is still what a row has made it. A later batch that was rolled back has
-- left its version there; but the limit is again the one that was confirmed when the row came in force.
local function is_base_of(row, acc, in_force_s)
  local version = acc.limit_version
  if version > row.version and acc.limit_confirm_s <= in_force_s then
    version = row.version
  end
  return is_of(row, version, acc.limit, acc.unlimited, acc.limit_expire_s)
end

local function put_reasons(acc, scheduled, reasons, before_reasoned)
  if reasons ~= '' or before_reasoned then
    set_text(acc, reasons_name(acc, scheduled), reasons)
  end
end

-- Brings back the scheduled limit before a row, unless a newer one has come.
local function restore_schedule(acc, before)
  local reasoned = acc.scheduled and acc.scheduled.reasoned
  acc.scheduled = before.scheduled or false
  acc.furnished = acc.furnished or acc.scheduled ~= false
  put_reasons(acc, true, before.scheduled_reasons, reasoned)
end

-- Brings back the base limit before a row. The class is that of the limit only if the row has named it; a person may
-- have given the account another one since.
local function restore_base(acc, row, before)
  local reasoned = acc.reasoned
  acc.limit_set, acc.limit, acc.unlimited = before.limit_set, before.limit, before.unlimited
  acc.limit_expire_s, acc.limit_confirm_s = before.expire_s, before.confirm_s
  if row.risk_class ~= '' and acc.risk_class == row.risk_class then
    acc.risk_class = before.risk_class
  end
  acc.score, acc.reasoned = before.score, before.reasons ~= ''
  put_reasons(acc, false, before.reasons, reasoned)
end

-- Restores the limit before a row; returns whether the row still counted.
local function restore_row(acc, row, before, in_force_s)
  local scheduled = acc.scheduled
  if scheduled and is_of(row, scheduled.version, scheduled.limit, scheduled.unlimited, scheduled.expire_s)
    and scheduled.effective_s == row.effective_s then
    restore_schedule(acc, before)
    acc.limit_version = math.max(acc.limit_version, row.version)
    return true
  end
  if not is_base_of(row, acc, in_force_s) then
    return false
  end
  restore_base(acc, row, before)
  if not acc.scheduled and before.scheduled then
    restore_schedule(acc, before)
  end
  return true
end

-- Notes that an account is left alone; returns the fate of its row.
local function keep(outcome, row)
  outcome.kept[#outcome.kept + 1] = row.account_id .. '\0'
  return ROW_FATE.KEPT
end

-- Restores what stood before a row that is in force; returns its fate, or nil when it has to wait.
local function undo_row(part, outcome, blob, row, before, packed_before, in_force_s)
  local acc = load_account(part, row.account_id)
  if not acc then
    local partition, moving = limit_rows.elsewhere(part, row.account_id)
    if partition then
      limit_rows.leave_behind(outcome.moved, partition, { string.sub(blob, row.begins, row.ends), packed_before })
      outcome.moved_count = outcome.moved_count + 1
      return ROW_FATE.MOVED
    end
    return not moving and keep(outcome, row) or nil
  end
  if not restore_row(acc, row, before, in_force_s) then
    return keep(outcome, row)
  end
  acc.changed, part.changed = true, true
  settle_limit(acc)
  limit_changed(acc)
  outcome.restored = outcome.restored + 1
  return ROW_FATE.RESTORED
end

-- Goes through the rows of a chunk; returns what becomes of them, or nil when an account is just being moved.
local function carry_out(part, undo, in_force_s)
  local fates, blob, befores = limit_rows.unpack_undo(undo)
  local outcome = { fates = {}, blob = blob, befores = befores, moved = {}, moved_count = 0, kept = {}, restored = 0 }
  local at = 1
  for row in limit_rows.each(blob) do
    local fate = fates[#outcome.fates + 1]
    if IN_FORCE[fate] then
      local before, after = limit_rows.unpack_before(befores, at)
      fate = undo_row(part, outcome, blob, row, before, string.sub(befores, at, after - 1), in_force_s)
      at = after
    end
    if not fate then
      return nil
    end
    outcome.fates[#outcome.fates + 1] = fate
  end
  return outcome
end

-- Packs what undoes the rows that have gone on to a partition.
local function pack_moved(items)
  local fates, rows, befores = {}, {}, {}
  for index = 1, #items do
    fates[index], rows[index], befores[index] = ROW_FATE.APPLIED, items[index][1], items[index][2]
  end
  return limit_rows.pack_undo(fates, table.concat(rows), befores)
end

local function restore_rows(keys, args)
  local part = open_partitions(keys, open_policy(args[1]), true)[1]
  local batch_id, chunk = args[2], args[3]
  local undo_key = key.undo_rows(part, batch_id)
  local done = redis.call('HGET', key.rows_restored(part, batch_id), chunk)
  local undo = not done and redis.call('HGET', undo_key, chunk)
  if not undo then
    return done or ''
  end
  local outcome = carry_out(part, undo, tonumber(args[5] or '0'))
  if not outcome then
    return failure(ERROR.ACCOUNT_MOVING)
  end
  if outcome.restored > 0 then
    limit_rows.journal(part, EFFECT.LIMITS_RESTORED, batch_id, args[4],
      limit_rows.pack_undo(outcome.fates, outcome.blob, { outcome.befores }))
  end
  local packed = struct.pack(LAYOUT.ROWS_RESTORED, 0, outcome.moved_count, outcome.restored, #outcome.kept)
    .. table.concat(outcome.kept)
  -- first write
  for partition, items in pairs(outcome.moved) do
    redis.call('HSET', undo_key, chunk .. '>' .. text_of(partition), pack_moved(items))
  end
  redis.call('HSET', key.rows_restored(part, batch_id), chunk, packed)
  redis.call('HDEL', undo_key, chunk)
  flush({ part })
  return packed
end

functions[#functions + 1] = {
  name = 'creditgate_restore_rows', callback = restore_rows, flags = { 'allow-oom' },
}
