-- Accounts as the operations of a call see them: read once a call, changed in memory, written once by `flush`. One
-- packed string holds what decisions read, so that an account costs one command each way.

-- Returns the text of a whole number. `%d` is exact for all amounts, and much quicker than `%.0f`.
local function text_of(number)
  return string.format('%d', number)
end

-- Returns the text of a second; the orders of a call mostly share one.
local function second_text(part, second)
  local text = part.second_texts[second]
  if not text then
    text = text_of(second)
    part.second_texts[second] = text
  end
  return text
end

local function account_flags(acc)
  return (acc.closed and ACCOUNT_FLAG.CLOSED or 0) + (acc.unlimited and ACCOUNT_FLAG.UNLIMITED or 0)
    + (acc.limit_set and ACCOUNT_FLAG.LIMIT_SET or 0) + (acc.blocked and ACCOUNT_FLAG.BLOCKED or 0)
    + (acc.aging and ACCOUNT_FLAG.AGED or 0)
end

local function pack_account(acc)
  local record = struct.pack(LAYOUT.ACCOUNT, account_flags(acc), acc.reserved, acc.receivable, acc.secured_receivable,
    acc.pending, acc.next_due, acc.limit, acc.limit_version, acc.create_ms, acc.currency, acc.risk_class)
  local aging = acc.aging
  if aging then
    record = record .. struct.pack(LAYOUT.AGING, aging.overdue, aging.disputed, aging.due_day, aging.as_of_ms,
      aging.reported_overdue, aging.reported_due_day)
  end
  return record
end

local function unpack_aging(record, start)
  local overdue, disputed, due_day, as_of_ms, reported_overdue, reported_due_day
    = struct.unpack(LAYOUT.AGING, record, start)
  return {
    overdue = overdue, disputed = disputed, due_day = due_day, as_of_ms = as_of_ms,
    reported_overdue = reported_overdue, reported_due_day = reported_due_day,
  }
end

local function unpack_account(part, account_id, record)
  local flags, reserved, receivable, secured_receivable, pending, next_due, limit, limit_version, create_ms, currency,
    risk_class, after = struct.unpack(LAYOUT.ACCOUNT, record)
  -- One constructor for all fields: a table that grows field by field is laid out anew several times.
  return {
    part = part, id = account_id, currency = currency, risk_class = risk_class, orders = {}, ledger = false, due = {},
    reserved = reserved, receivable = receivable, secured_receivable = secured_receivable, pending = pending,
    next_due = next_due,
    limit = limit, limit_version = limit_version, create_ms = create_ms,
    closed = flags % 2 >= ACCOUNT_FLAG.CLOSED, unlimited = flags % 4 >= ACCOUNT_FLAG.UNLIMITED,
    limit_set = flags % 8 >= ACCOUNT_FLAG.LIMIT_SET, blocked = flags % 16 >= ACCOUNT_FLAG.BLOCKED,
    aging = flags >= ACCOUNT_FLAG.AGED and unpack_aging(record, after),
    changed = false, texts_changed = false, lapsed = false,
  }
end

local function new_account(part, account_id, currency)
  return {
    part = part, id = account_id, currency = currency, risk_class = '', orders = {}, ledger = false, due = {},
    reserved = 0, receivable = 0, secured_receivable = 0, pending = 0, next_due = 0,
    limit = 0, limit_version = 0, create_ms = part.now_ms,
    closed = false, unlimited = false, limit_set = false, blocked = false, aging = false,
    changed = true, texts_changed = false, lapsed = false,
  }
end

-- Takes what has fallen due off the account's reserved sum, once `next_due` has come: it may be early (its hold was
-- released), never late.
local function lapse_due(acc)
  local due_key, now = key.due(acc.part, acc.id), second_text(acc.part, acc.part.now_s)
  local fallen = redis.call('ZRANGEBYSCORE', due_key, '-inf', now)
  for index = 1, #fallen do
    acc.reserved = acc.reserved - tonumber(string.match(fallen[index], ':(%d+)$'))
  end
  local following = redis.call('ZRANGEBYSCORE', due_key, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  acc.next_due = tonumber(following[2] or '0')
  acc.lapsed = true
end

-- Returns the account with what has fallen due already taken off, or false if there is none.
local function load_account(part, account_id)
  local acc = part.accounts[account_id]
  if acc == nil then
    local record = redis.call('GET', key.account(part, account_id))
    acc = record and unpack_account(part, account_id, record)
    if acc and acc.next_due ~= 0 and acc.next_due <= part.now_s then
      lapse_due(acc)
    end
    part.accounts[account_id] = acc
  end
  return acc
end

-- Adds to the exposure that falls due at a second (a negative amount takes off). Reads the stored sum now, so that
-- `flush` only writes.
local function add_due(acc, second, amount)
  if amount == 0 then
    return
  end
  local due = acc.due[second]
  if not due then
    local text = second_text(acc.part, second)
    local stored = redis.call('ZRANGEBYSCORE', key.due(acc.part, acc.id), text, text)[1]
    due = { stored = stored, sum = stored and tonumber(string.match(stored, ':(%d+)$')) or 0 }
    acc.due[second] = due
  end
  due.sum = due.sum + amount
  if due.sum > 0 and (acc.next_due == 0 or second < acc.next_due) then
    acc.next_due = second
  end
end

local function write_due(acc)
  local due_key = key.due(acc.part, acc.id)
  if acc.lapsed then
    redis.call('ZREMRANGEBYSCORE', due_key, '-inf', second_text(acc.part, acc.part.now_s))
  end
  for second, due in pairs(acc.due) do
    local text = second_text(acc.part, second)
    if due.stored then
      redis.call('ZREM', due_key, due.stored)
    end
    if due.sum > 0 then
      redis.call('ZADD', due_key, text, text .. ':' .. text_of(due.sum))
    end
  end
end

-- Takes a payment off what is overdue, until the next ageing says what is.
local function reduce_overdue(acc, amount)
  local aging = acc.aging
  if aging then
    aging.overdue = math.max(0, aging.overdue - amount)
    if aging.overdue == 0 then
      aging.due_day = 0
    end
  end
end

local function exposure_of(acc)
  return acc.reserved + math.max(0, acc.receivable)
end

-- Returns the answer of an operation whose result is the account.
local function account_answer(acc, answer_flags)
  local part = acc.part
  local name = part.names[acc.id] or redis.call('HGET', key.names(part), acc.id) or ''
  local block = acc.block
  if acc.blocked and not block then
    local texts = redis.call('HMGET', key.texts(part, acc.id), 'block_reason', 'block_actor', 'block_time_ms')
    block = { reason = texts[1] or '', actor = texts[2] or '', time_ms = tonumber(texts[3] or '0') }
  end
  block = block or { reason = '', actor = '', time_ms = 0 }
  local aging = acc.aging or { overdue = 0, disputed = 0, due_day = 0, as_of_ms = 0 }
  return struct.pack(LAYOUT.ACCOUNT_ANSWER, 0, answer_flags, account_flags(acc), acc.limit, acc.limit_version,
    acc.create_ms, acc.reserved, acc.receivable, acc.secured_receivable, acc.pending, block.time_ms,
    aging.overdue, aging.disputed, aging.due_day, aging.as_of_ms,
    acc.id, acc.currency, acc.risk_class, name, block.reason, block.actor)
end
