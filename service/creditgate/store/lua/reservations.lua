-- Reservations as the operations of a call see them: read once, changed in memory, written once by `flush`.
--
-- A reservation's record holds its first decision too, so that a repeated order gets the first answer again. A record
-- is unpacked only by an operation that looks into it: { record, changed } until `load_order` has opened it.

-- Returns the part of `total` that takes credit when `secured` of it is covered by security. Security is used up
-- first, so that what is committed and what is held always add up to the net of the order.
local function net_of(total, secured)
  return total > secured and total - secured or 0
end

-- Returns what an amount of an order is worth in its account's currency, rounded up, or nil beyond the range.
local function worth(order, amount)
  return convert(amount, order.rate)
end

-- Returns what an order of a total holds, in its account's currency, when so much of it is invoiced; or nil beyond the
-- range. What is invoiced and what is held always add up.
local function held_of(order, total, committed)
  local whole = worth(order, net_of(math.max(total, committed), order.secured))
  return whole and whole - worth(order, net_of(committed, order.secured))
end

local function pack_order(order)
  local rate, waiting = order.rate, order.waiting
  local record = struct.pack(LAYOUT.ORDER, order.state,
    (rate and ORDER_FLAG.FOREIGN or 0) + (waiting and ORDER_FLAG.AMEND_PENDING or 0), order.terms_days, order.revision,
    order.amount, order.first_amount, order.secured, order.committed, order.held, order.expire_s, order.update_s,
    order.currency)
  if rate then
    record = record .. struct.pack(LAYOUT.RATE, rate.mantissa, rate.scale, rate.shift)
  end
  if waiting then
    record = record .. struct.pack(LAYOUT.PENDING_AMEND, waiting.amount, waiting.more)
  end
  return record .. order.decision
end

local function unpack_order(record)
  local state, flags, terms_days, revision, amount, first_amount, secured, committed, held, expire_s, update_s,
    currency, after = struct.unpack(LAYOUT.ORDER, record)
  local rate, waiting
  if flags % 2 == ORDER_FLAG.FOREIGN then
    rate = {}
    rate.mantissa, rate.scale, rate.shift, after = struct.unpack(LAYOUT.RATE, record, after)
  end
  if flags >= ORDER_FLAG.AMEND_PENDING then
    waiting = {}
    waiting.amount, waiting.more, after = struct.unpack(LAYOUT.PENDING_AMEND, record, after)
  end
  return {
    record = record, changed = false, state = state, terms_days = terms_days, revision = revision, amount = amount,
    first_amount = first_amount, secured = secured, committed = committed, held = held, expire_s = expire_s,
    update_s = update_s, currency = currency, rate = rate, waiting = waiting, decision = string.sub(record, after),
  }
end

-- Returns the account's reservation for an order, or false if there is none.
local function load_order(acc, order_id)
  local order = acc.orders[order_id]
  if order == nil then
    local record = redis.call('HGET', key.orders(acc.part, acc.id), order_id)
    order = record and unpack_order(record) or false
    acc.orders[order_id] = order
  elseif order and order.removed then
    return false
  elseif order and not order.amount then
    order = unpack_order(order.record)
    order.changed = true
    acc.orders[order_id] = order
  end
  return order
end

-- Returns an account and its reservation for an order; or nil and why there is none.
local function find_order(part, account_id, order_id)
  local acc = load_account(part, account_id)
  if not acc then
    return nil, absent(part, account_id)
  end
  local order = load_order(acc, order_id)
  if not order then
    return nil, failure(ERROR.RESERVATION_NOT_FOUND)
  end
  return acc, order
end

-- Returns whether a reservation's time is running: it is held, or waits for a person.
local function is_open(order)
  return order.state == STATE.HELD or order.state == STATE.PENDING_REVIEW
end

-- Returns the state that a reservation reads as: one whose time is over has expired, swept or not.
local function state_now(part, order)
  if is_open(order) and order.expire_s <= part.now_s then
    return STATE.EXPIRED
  end
  return order.state
end

-- Returns whether a reservation is still the one whose etag a caller has read; revision 0 compares nothing.
local function is_current(order, etag_ms, etag_revision)
  if etag_revision == 0 then
    return true
  end
  local _, _, _, decide_ms = struct.unpack(LAYOUT.DECISION, order.decision)
  return etag_revision == order.revision and etag_ms == decide_ms
end

-- Remembers that an order, or an amend of it, waits for a person from now on, or no longer.
local function mark_waiting(acc, order_id, waits)
  acc.waiting = acc.waiting or {}
  acc.waiting[order_id] = waits
end

-- Ends a reservation in a state, from which on it is kept for the retention.
local function end_order(acc, order_id, order, state)
  if order.state == STATE.PENDING_REVIEW or order.waiting then
    mark_waiting(acc, order_id, false)
  end
  if is_open(order) then
    retire_later(acc.part, acc.part.now_s, acc.id, 'o:' .. order_id)
  end
  order.state, order.waiting = state, nil
end

-- Takes what waits for a person off the account's sums: the order itself, or the amend of one that is held.
local function drop_waiting(acc, order_id, order)
  if order.state == STATE.PENDING_REVIEW or order.waiting then
    mark_waiting(acc, order_id, false)
  end
  if order.state == STATE.PENDING_REVIEW then
    add_pending(acc, order.expire_s, -order.held)
    order.held = 0
  elseif order.waiting then
    add_pending(acc, order.expire_s, -order.waiting.more)
    order.waiting = nil
  end
  acc.changed = true
end

-- Changes what is held for a reservation and until when: its account's sums follow.
local function hold_until(acc, order_id, order, held, expire_s)
  if expire_s == order.expire_s then
    add_reserved(acc, expire_s, held - order.held)
  else
    add_reserved(acc, order.expire_s, -order.held)
    add_reserved(acc, expire_s, held)
    sweep_later(acc.part, expire_s, acc.id, order_id)
  end
  order.held, order.expire_s = held, expire_s
  acc.changed = true
end

-- Journals what became of an order at a time. The kind's own texts come before the record, what else was written
-- behind it.
local function journal_order(acc, order_id, record, effect_kind, effect_texts, time_ms, also)
  local size = EFFECT_HEAD.ORDER + #acc.id + #order_id + #effect_texts + #record + #also
  journal_effect(acc.part, struct.pack(LAYOUT.ORDER_EFFECT, size, effect_kind, time_ms, acc.reserved, acc.receivable,
    acc.secured_receivable, acc.pending, acc.id, order_id) .. effect_texts, record .. also)
end

-- Takes over a changed reservation: it is packed, journaled as an effect of this kind, and written by `flush`.
local function store_order(acc, order_id, order, effect_kind, effect_texts, time_ms, also)
  -- A hold that is over has read as expired since its second: to settle it is no change, and its etag stays.
  if effect_kind ~= EFFECT.EXPIRED then
    order.revision = order.revision + 1
  end
  order.update_s = acc.part.now_s
  order.record = pack_order(order)
  order.changed = true
  acc.orders[order_id] = order
  journal_order(acc, order_id, order.record, effect_kind, effect_texts, time_ms, also)
end

-- Returns the answer of an operation whose result is a record in a state; state 0 is a decision without a reservation.
local function record_answer(acc, state, record, answer_flags, over_committed)
  return struct.pack(LAYOUT.ORDER_ANSWER, 0, answer_flags, state, over_committed, acc.currency) .. record
end

-- Returns the answer of an operation whose result is a reservation as it is now.
local function order_answer(acc, order, answer_flags, over_committed)
  return record_answer(acc, state_now(acc.part, order), order.record, answer_flags, over_committed)
end
