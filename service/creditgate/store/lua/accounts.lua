-- Accounts as the operations of a call see them: read once a call, changed in memory, written once by `flush`. One
-- packed string holds what decisions read (lua/account_record.lua), so that an account costs one command each way.

-- Makes the scheduled limit the base limit, as of the second from which on it counts. Its reasons stay where they are:
-- the two places for reasons change their roles. A version never goes back, not even where a rollback has brought back
-- a limit that was scheduled before.
local function start_schedule(acc)
  local scheduled = acc.scheduled
  acc.limit_set, acc.limit, acc.unlimited = not scheduled.unlimited, scheduled.limit, scheduled.unlimited
  acc.limit_expire_s, acc.limit_confirm_s = scheduled.expire_s, scheduled.effective_s
  acc.limit_version = math.max(acc.limit_version, scheduled.version)
  if scheduled.risk_class ~= '' then
    acc.risk_class = scheduled.risk_class
  end
  acc.score, acc.reasoned, acc.reasons_swapped = scheduled.score, scheduled.reasoned, not acc.reasons_swapped
  acc.scheduled = false
end

-- Finds out which limit counts now: the temporary one between its two instants, else the manual one until it expires,
-- else the base limit, which is the scheduled one from its second on; whether the account is blocked; and which rules
-- judge it.
local function settle_limit(acc)
  local now, manual, temporary = acc.part.now_s, acc.manual, acc.temporary
  if acc.scheduled and acc.scheduled.effective_s <= now then
    start_schedule(acc)
  end
  -- What has ended is gone, and leaves the record when that is next written.
  if manual and manual.expire_s ~= 0 and manual.expire_s <= now then
    manual, acc.manual = nil, nil
  end
  if temporary and temporary.end_s <= now then
    temporary, acc.temporary = nil, nil
  end
  if acc.block_expire_s and acc.block_expire_s <= now then
    acc.blocked, acc.block_expire_s = nil, nil
  end
  if temporary and temporary.start_s <= now then
    acc.overridden, acc.no_ceiling, acc.has_limit, acc.effective_limit = true, false, true, temporary.limit
  elseif manual then
    acc.overridden, acc.no_ceiling, acc.has_limit, acc.effective_limit = true, manual.unlimited, true, manual.limit
  else
    acc.no_ceiling, acc.has_limit, acc.effective_limit = acc.unlimited, acc.limit_set, acc.limit
    if acc.overridden then
      acc.overridden = nil
    end
  end
  acc.class = class_of(acc.part.policy, acc.risk_class, acc.currency)
  acc.exposure_flags = (acc.has_limit and EXPOSURE_FLAG.LIMIT_SET or 0)
    + (acc.no_ceiling and EXPOSURE_FLAG.UNLIMITED or 0) + (acc.class.credit_counts and EXPOSURE_FLAG.CREDIT_COUNTS or 0)
end

-- Returns the next second from which on another limit counts by itself, nil for none. What has ended is gone by then.
local function next_limit_second(acc)
  local scheduled, manual, temporary, next_second = acc.scheduled, acc.manual, acc.temporary, nil
  local function consider(second)
    next_second = math.min(next_second or second, second)
  end
  if scheduled then
    consider(scheduled.effective_s)
  end
  if manual and manual.expire_s ~= 0 then
    consider(manual.expire_s)
  end
  if temporary then
    consider(temporary.start_s > acc.part.now_s and temporary.start_s or temporary.end_s)
  end
  return next_second
end

local function unpack_account(part, account_id, record)
  local flags, reserved, receivable, secured_receivable, pending, next_due, limit, limit_expire_s, limit_confirm_s,
    limit_version, create_ms, epoch, currency, risk_class, after = struct.unpack(LAYOUT.ACCOUNT, record)
  -- One constructor for all that every account has, so that the table does not grow: 32 fields fit, a 33rd costs as
  -- much as all of them. What few accounts have, or few calls need, is absent until it is set; even nil takes a field.
  local acc = {
    part = part, id = account_id, currency = currency, risk_class = risk_class, orders = {}, due = {},
    due_key = key.due(part, account_id), changed = false,
    reserved = reserved, receivable = receivable, secured_receivable = secured_receivable, pending = pending,
    next_due = next_due, limit = limit, limit_expire_s = limit_expire_s, limit_confirm_s = limit_confirm_s,
    limit_version = limit_version, create_ms = create_ms, epoch = epoch,
    unlimited = flags % 4 >= ACCOUNT_FLAG.UNLIMITED, limit_set = flags % 8 >= ACCOUNT_FLAG.LIMIT_SET, group_id = '',
    no_ceiling = false, has_limit = false, effective_limit = limit, exposure_flags = 0, class = false,
  }
  if flags % 2 >= ACCOUNT_FLAG.CLOSED then
    acc.closed = true
  end
  if flags % 16 >= ACCOUNT_FLAG.BLOCKED then
    acc.blocked = true
  end
  if flags >= ACCOUNT_FLAG.SCORED then
    flags, after = unpack_scoring(acc, flags, record, after)
  end
  if flags >= ACCOUNT_FLAG.AGED then
    after = unpack_furniture(acc, flags, record, after)
  end
  if after <= #record then
    acc.velocity_record = string.sub(record, after)
  end
  settle_limit(acc)
  return acc
end

local function new_account(part, account_id, currency)
  local acc = {
    part = part, id = account_id, currency = currency, risk_class = '', orders = {}, due = {},
    due_key = key.due(part, account_id), changed = true,
    reserved = 0, receivable = 0, secured_receivable = 0, pending = 0, next_due = 0,
    limit = 0, limit_expire_s = 0, limit_confirm_s = 0, limit_version = 0, create_ms = part.now_ms, epoch = 0,
    unlimited = false, limit_set = false, group_id = '',
  }
  settle_limit(acc)
  return acc
end

-- Takes what has fallen due off the account's sums. Its group has a due set of its own.
local function lapse_account(part, acc)
  lapse_due(part, acc, function(tag, sum)
    if tag == DUE_PENDING then
      acc.pending = acc.pending - sum
    else
      acc.reserved = acc.reserved - sum
    end
  end)
end

-- Returns the account with what has fallen due already taken off, or false if there is none here: `absent` says why.
local function load_account(part, account_id)
  local acc = part.accounts[account_id]
  if acc == nil then
    local record = redis.call('GET', key.account(part, account_id))
    acc = false
    if record then
      if is_stub(record) then
        part.elsewhere[account_id] = record
      else
        acc = unpack_account(part, account_id, record)
        if acc.next_due ~= 0 and acc.next_due <= part.now_s then
          lapse_account(part, acc)
        end
      end
    end
    part.accounts[account_id] = acc
  end
  -- While an account is moved it may be read where it comes from, and nothing may change it.
  if acc and acc.moving and (part.writes or acc.moving.arriving) then
    return false
  end
  return acc
end

-- Returns why an operation finds no account here: it lives in another partition, is just being moved, or does not
-- exist.
local function absent(part, account_id)
  local stub = part.elsewhere[account_id]
  if stub then
    local _, partition = struct.unpack(LAYOUT.MOVED_STUB, stub)
    return failure(ACCOUNT_MOVED, partition)
  end
  return failure(part.accounts[account_id] and ERROR.ACCOUNT_MOVING or ERROR.ACCOUNT_NOT_FOUND)
end

-- Changes what an account has reserved until a second; its group follows.
local function add_reserved(acc, second, amount)
  acc.reserved = acc.reserved + amount
  add_due(acc.part, acc, second, '', amount)
  group_reserves(acc, second, amount)
end

-- Changes what an account owes; its group follows.
local function set_receivable(acc, receivable)
  local before = acc.receivable
  acc.receivable = receivable
  group_owes(acc, before)
end

-- Changes what waits for a person, and what falls due of it.
local function add_pending(acc, second, amount)
  acc.pending = acc.pending + amount
  add_due(acc.part, acc, second, DUE_PENDING, amount)
end

-- Takes a payment off what is overdue, until the next ageing says what is.
local function reduce_overdue(acc, amount)
  local aging = acc.aging
  if aging then
    aging[AGING.OVERDUE] = math.max(0, aging[AGING.OVERDUE] - amount)
    if aging[AGING.OVERDUE] == 0 then
      aging[AGING.DUE_DAY] = 0
    end
  end
end

local function exposure_of(acc)
  return acc.reserved + (acc.class.credit_counts and acc.receivable or math.max(0, acc.receivable))
end

-- Sets a text of the account that no decision reads, or takes it away with ''.
local function set_text(acc, name, text)
  acc.texts = acc.texts or {}
  acc.texts[name] = text
end

-- Keeps who decided something about an account, why and when; or takes that away with the thing decided.
local function set_decision(acc, name, present, reason, actor)
  acc.furnished = true
  set_text(acc, name .. '_reason', present and reason or '')
  set_text(acc, name .. '_actor', present and actor or '')
  set_text(acc, name .. '_ms', present and text_of(acc.part.now_ms) or '')
end

-- Returns why a limit in a currency and until a second can't be set, or nil; 0 is no end.
local function cannot_limit(acc, currency, end_s, end_field)
  if currency ~= acc.currency then
    return failure(ERROR.CURRENCY_MISMATCH, 0, acc.currency)
  end
  if end_s ~= 0 and end_s <= acc.part.now_s then
    return failure(ERROR.INVALID_FIELD, acc.part.now_ms, end_field)
  end
end

-- Blocks an account, or ends its block.
local function set_block(acc, blocked, expire_s, reason, actor)
  acc.blocked, acc.block_expire_s = blocked, blocked and expire_s ~= 0 and expire_s or nil
  set_decision(acc, 'block', blocked, reason, actor)
end

-- Returns the name of the text with the reasons of the base limit, or of the `scheduled` one. They are parted by line
-- feeds.
local function reasons_name(acc, scheduled)
  return (acc.reasons_swapped or false) ~= scheduled and 'limit_reasons_swapped' or 'limit_reasons'
end

local TEXT_NAMES = { 'block_reason', 'block_actor', 'block_ms', 'manual_reason', 'manual_actor', 'manual_ms',
  'temporary_reason', 'temporary_actor', 'temporary_ms', 'limit_reasons', 'limit_reasons_swapped' }

local function load_texts(acc)
  local texts = {}
  if acc.blocked or acc.manual or acc.temporary or acc.reasoned then
    local stored = redis.call('HMGET', key.texts(acc.part, acc.id), unpack(TEXT_NAMES))
    for index = 1, #TEXT_NAMES do
      texts[TEXT_NAMES[index]] = stored[index] or ''
    end
  end
  for name, text in pairs(acc.texts or {}) do
    texts[name] = text
  end
  return texts
end

local NO_AGING = { 0, 0, 0, 0, 0, 0 }
local NO_LIMIT = { limit = 0, expire_s = 0, start_s = 0, end_s = 0 }

-- Returns what the answer of an account has behind its texts, as its flags say.
local function scoring_answer(acc, texts)
  return (acc.score and struct.pack(LAYOUT.LIMIT_SCORE, acc.score) or '')
    .. (acc.reasoned and (texts[reasons_name(acc, false)] or '') .. '\0' or '')
    .. (acc.scheduled and pack_schedule(acc.scheduled) or '')
end

-- Returns the answer of an operation whose result is the account.
local function account_answer(acc, answer_flags)
  local part, texts = acc.part, load_texts(acc)
  local name = part.names[acc.id] or redis.call('HGET', key.names(part), acc.id) or ''
  local aging, manual, temporary = acc.aging or NO_AGING, acc.manual or NO_LIMIT, acc.temporary or NO_LIMIT
  return struct.pack(LAYOUT.ACCOUNT_ANSWER, 0, answer_flags, account_flags(acc), acc.limit, acc.limit_version,
    acc.create_ms, acc.reserved, acc.receivable, acc.secured_receivable, acc.pending,
    tonumber(texts.block_ms or '') or 0, aging[AGING.OVERDUE], aging[AGING.DISPUTED], aging[AGING.DUE_DAY],
    aging[AGING.AS_OF_MS],
    acc.limit_expire_s, acc.limit_confirm_s, acc.exposure_flags, acc.effective_limit, acc.block_expire_s or 0,
    manual.limit, manual.expire_s, tonumber(texts.manual_ms or '') or 0, temporary.limit, temporary.start_s,
    temporary.end_s, tonumber(texts.temporary_ms or '') or 0, acc.id, acc.currency, acc.group_id, acc.risk_class, name,
    texts.block_reason or '', texts.block_actor or '', texts.manual_reason or '', texts.manual_actor or '',
    texts.temporary_reason or '', texts.temporary_actor or '') .. scoring_answer(acc, texts)
end
