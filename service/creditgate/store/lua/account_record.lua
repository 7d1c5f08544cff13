-- The packed record of an account, in the order of LAYOUT.ACCOUNT's comment: what every account has, the score, the
-- furniture that few accounts have, the velocity.

-- Returns whether flags have one that is a power of two.
local function has_flag(flags, flag)
  return flags % (2 * flag) >= flag
end

-- Returns the flags of what not every account has.
local function furniture_flags(acc)
  local flags, manual = 0, acc.manual
  if acc.aging then
    flags = ACCOUNT_FLAG.AGED
  end
  if manual then
    flags = flags + ACCOUNT_FLAG.MANUAL + (manual.unlimited and ACCOUNT_FLAG.MANUAL_UNLIMITED or 0)
  end
  if acc.temporary then
    flags = flags + ACCOUNT_FLAG.TEMPORARY
  end
  if acc.block_expire_s then
    flags = flags + ACCOUNT_FLAG.BLOCK_ENDS
  end
  if acc.group_id ~= '' then
    flags = flags + ACCOUNT_FLAG.GROUPED
  end
  if acc.moving then
    flags = flags + ACCOUNT_FLAG.FROZEN
  end
  if acc.scheduled then
    flags = flags + ACCOUNT_FLAG.SCHEDULED
  end
  return acc.reasons_swapped and flags + ACCOUNT_FLAG.REASONS_SWAPPED or flags
end

local function account_flags(acc)
  local flags = acc.furnished and furniture_flags(acc) or 0
  if acc.limit_set then
    flags = flags + ACCOUNT_FLAG.LIMIT_SET
  end
  if acc.unlimited then
    flags = flags + ACCOUNT_FLAG.UNLIMITED
  end
  if acc.closed then
    flags = flags + ACCOUNT_FLAG.CLOSED
  end
  if acc.blocked then
    flags = flags + ACCOUNT_FLAG.BLOCKED
  end
  if acc.score then
    flags = flags + ACCOUNT_FLAG.SCORED
  end
  return acc.reasoned and flags + ACCOUNT_FLAG.REASONED or flags
end

local function pack_schedule(scheduled)
  return struct.pack(LAYOUT.SCHEDULED_LIMIT, (scheduled.unlimited and SCHEDULE_FLAG.UNLIMITED or 0)
    + (scheduled.score and SCHEDULE_FLAG.SCORED or 0) + (scheduled.reasoned and SCHEDULE_FLAG.REASONED or 0),
    scheduled.limit, scheduled.version, scheduled.effective_s, scheduled.expire_s, scheduled.score or 0,
    scheduled.risk_class)
end

-- Returns a scheduled limit, and where it ends.
local function unpack_schedule(record, at)
  local flags, limit, version, effective_s, expire_s, score, risk_class, after
    = struct.unpack(LAYOUT.SCHEDULED_LIMIT, record, at)
  return {
    unlimited = has_flag(flags, SCHEDULE_FLAG.UNLIMITED), limit = limit, version = version, effective_s = effective_s,
    expire_s = expire_s, score = has_flag(flags, SCHEDULE_FLAG.SCORED) and score, risk_class = risk_class,
    reasoned = has_flag(flags, SCHEDULE_FLAG.REASONED),
  }, after
end

-- Packs what not every account has, in the order of LAYOUT.ACCOUNT's comment.
local function pack_furniture(acc)
  local packed, manual, temporary = '', acc.manual, acc.temporary
  if acc.aging then
    packed = struct.pack(LAYOUT.AGING, unpack(acc.aging))
  end
  if manual then
    packed = packed .. struct.pack(LAYOUT.MANUAL_LIMIT, manual.limit, manual.expire_s)
  end
  if temporary then
    packed = packed .. struct.pack(LAYOUT.TEMPORARY_LIMIT, temporary.limit, temporary.start_s, temporary.end_s)
  end
  if acc.block_expire_s then
    packed = packed .. struct.pack(LAYOUT.BLOCK_END, acc.block_expire_s)
  end
  if acc.group_id ~= '' then
    packed = packed .. acc.group_id .. '\0'
  end
  if acc.scheduled then
    packed = packed .. pack_schedule(acc.scheduled)
  end
  if acc.moving then
    local moving = acc.moving
    packed = packed .. struct.pack(LAYOUT.MOVING, moving.partition, moving.epoch, moving.arriving and 1 or 0)
  end
  return packed
end

local function pack_account(acc)
  local record = struct.pack(LAYOUT.ACCOUNT, account_flags(acc), acc.reserved, acc.receivable, acc.secured_receivable,
    acc.pending, acc.next_due, acc.limit, acc.limit_expire_s, acc.limit_confirm_s, acc.limit_version, acc.create_ms,
    acc.epoch, acc.currency, acc.risk_class)
  local score, velocity = acc.score, acc.velocity or acc.velocity_record
  if score or velocity or acc.furnished then
    return record .. (score and struct.pack(LAYOUT.LIMIT_SCORE, score) or '')
      .. (acc.furnished and pack_furniture(acc) or '') .. (velocity and pack_velocity(acc) or '')
  end
  return record
end

-- Reads the score, and whether there are reasons; returns the flags that are left, and where the rest begins. What the
-- scorer tells of most accounts is kept apart from the furniture, which makes a decision dearer.
local function unpack_scoring(acc, flags, record, at)
  if flags >= ACCOUNT_FLAG.REASONED then
    acc.reasoned, flags = true, flags - ACCOUNT_FLAG.REASONED
  end
  if flags >= ACCOUNT_FLAG.SCORED then
    flags = flags - ACCOUNT_FLAG.SCORED
    acc.score, at = struct.unpack(LAYOUT.LIMIT_SCORE, record, at)
  end
  return flags, at
end

-- Reads what stands in the place of the base limit, and when a block ends; returns where the rest begins.
local function unpack_overrides(acc, flags, record, at)
  if has_flag(flags, ACCOUNT_FLAG.MANUAL) then
    local manual = { unlimited = has_flag(flags, ACCOUNT_FLAG.MANUAL_UNLIMITED) }
    manual.limit, manual.expire_s, at = struct.unpack(LAYOUT.MANUAL_LIMIT, record, at)
    acc.manual = manual
  end
  if has_flag(flags, ACCOUNT_FLAG.TEMPORARY) then
    local temporary = {}
    temporary.limit, temporary.start_s, temporary.end_s, at = struct.unpack(LAYOUT.TEMPORARY_LIMIT, record, at)
    acc.temporary = temporary
  end
  if has_flag(flags, ACCOUNT_FLAG.BLOCK_ENDS) then
    acc.block_expire_s, at = struct.unpack(LAYOUT.BLOCK_END, record, at)
  end
  return at
end

-- Reads what is about to happen to the account: its next limit, its move; returns where the rest begins.
local function unpack_changes(acc, flags, record, at)
  if has_flag(flags, ACCOUNT_FLAG.SCHEDULED) then
    acc.scheduled, at = unpack_schedule(record, at)
  end
  if has_flag(flags, ACCOUNT_FLAG.REASONS_SWAPPED) then
    acc.reasons_swapped = true
  end
  if has_flag(flags, ACCOUNT_FLAG.FROZEN) then
    local partition, epoch, arriving, after = struct.unpack(LAYOUT.MOVING, record, at)
    acc.moving, at = { partition = partition, epoch = epoch, arriving = arriving == 1 }, after
  end
  return at
end

-- Reads what not every account has; returns where the rest begins. Flags that are not set are passed over at once where
-- they stand together, so that an account in a group costs little.
local function unpack_furniture(acc, flags, record, at)
  acc.furnished = true
  if flags % (2 * ACCOUNT_FLAG.AGED) >= ACCOUNT_FLAG.AGED then
    local aging = { struct.unpack(LAYOUT.AGING, record, at) }
    at, aging[#aging] = aging[#aging], nil
    acc.aging = aging
  end
  if flags % ACCOUNT_FLAG.GROUPED >= ACCOUNT_FLAG.MANUAL then
    at = unpack_overrides(acc, flags, record, at)
  end
  if flags % (2 * ACCOUNT_FLAG.GROUPED) >= ACCOUNT_FLAG.GROUPED then
    acc.group_id, at = struct.unpack(LAYOUT.MEMBERSHIP, record, at)
  end
  return flags >= ACCOUNT_FLAG.MOVED and unpack_changes(acc, flags, record, at) or at
end

-- Returns the fields of a record without furniture, of which nothing waits and nothing has fallen due, and the velocity
-- as it stands there: for changing its base limit they suffice, and cost a third of `unpack_account`. Returns nil for
-- another record.
local function unpack_plain(part, record)
  local flags, reserved, receivable, secured_receivable, pending, next_due, limit, limit_expire_s, limit_confirm_s,
    limit_version, create_ms, epoch, currency, risk_class, after = struct.unpack(LAYOUT.ACCOUNT, record)
  local settings, score = flags, 0
  if settings >= ACCOUNT_FLAG.REASONED then
    settings = settings - ACCOUNT_FLAG.REASONED
  end
  if settings >= ACCOUNT_FLAG.SCORED then
    settings = settings - ACCOUNT_FLAG.SCORED
    score, after = struct.unpack(LAYOUT.LIMIT_SCORE, record, after)
  end
  if settings >= ACCOUNT_FLAG.AGED or pending ~= 0 or receivable < 0 or next_due ~= 0 and next_due <= part.now_s then
    return nil
  end
  return flags, reserved, receivable, secured_receivable, next_due, limit, limit_expire_s, limit_confirm_s,
    limit_version, create_ms, epoch, currency, risk_class, score, after <= #record and string.sub(record, after) or ''
end

-- Packs what `unpack_plain` has returned, with another base limit.
local function pack_plain(flags, reserved, receivable, secured_receivable, next_due, limit, limit_expire_s,
    limit_confirm_s, limit_version, create_ms, epoch, currency, risk_class, score, velocity)
  local record = struct.pack(LAYOUT.ACCOUNT, flags, reserved, receivable, secured_receivable, 0, next_due, limit,
    limit_expire_s, limit_confirm_s, limit_version, create_ms, epoch, currency, risk_class)
  if flags % (2 * ACCOUNT_FLAG.SCORED) >= ACCOUNT_FLAG.SCORED then
    record = record .. struct.pack(LAYOUT.LIMIT_SCORE, score)
  end
  return velocity ~= '' and record .. velocity or record
end

-- Returns whether a record only says where the account lives: every account's own is longer.
local function is_stub(record)
  return #record == SIZE.MOVED_STUB
end
