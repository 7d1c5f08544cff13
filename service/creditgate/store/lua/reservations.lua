-- Reservations as the operations of a call see them: read once, changed in memory, written once by `flush`.
--
-- A reservation's record holds its first decision too, so that a repeated order gets the first answer again. A record
-- is unpacked only by an operation that looks into it: { record, changed } until `load_order` has opened it.

-- Returns the part of `total` that takes credit when `secured` of it is covered by security. Security is used up
-- first, so that what is committed and what is held always add up to the net of the order.
local function net_of(total, secured)
  return total > secured and total - secured or 0
end

local function pack_order(order)
  return struct.pack(LAYOUT.ORDER, order.state, order.outcome, order.exposure_flags, order.reason_count,
    order.terms_days, order.revision, order.amount, order.secured, order.committed, order.held, order.create_ms,
    order.expire_s, order.seen_limit, order.seen_reserved, order.seen_receivable, order.seen_pending,
    order.limit_version, order.currency, order.policy_version) .. order.reasons
end

local function unpack_order(record)
  local state, outcome, exposure_flags, reason_count, terms_days, revision, amount, secured, committed, held, create_ms,
    expire_s, seen_limit, seen_reserved, seen_receivable, seen_pending, limit_version, currency, policy_version, after
    = struct.unpack(LAYOUT.ORDER, record)
  return {
    record = record, changed = false, state = state, outcome = outcome, exposure_flags = exposure_flags,
    reason_count = reason_count, terms_days = terms_days, revision = revision, amount = amount, secured = secured,
    committed = committed, held = held, create_ms = create_ms, expire_s = expire_s, seen_limit = seen_limit,
    seen_reserved = seen_reserved, seen_receivable = seen_receivable, seen_pending = seen_pending,
    limit_version = limit_version, currency = currency, policy_version = policy_version,
    reasons = string.sub(record, after),
  }
end

-- Returns the account's reservation for an order, or false if there is none.
local function load_order(acc, order_id)
  local order = acc.orders[order_id]
  if order == nil then
    local record = redis.call('HGET', key.orders(acc.part, acc.id), order_id)
    order = record and unpack_order(record) or false
    acc.orders[order_id] = order
  elseif order and not order.amount then
    order = unpack_order(order.record)
    order.changed = true
    acc.orders[order_id] = order
  end
  return order
end

-- Returns the state that a reservation reads as: a hold whose time is over has expired, swept or not.
local function state_now(part, order)
  if order.state == STATE.HELD and order.expire_s <= part.now_s then
    return STATE.EXPIRED
  end
  return order.state
end

-- Journals what became of an order at a time. The kind's own texts come before the record.
local function journal_order(acc, order_id, record, effect_kind, effect_texts, time_ms)
  local size = EFFECT_HEAD.ORDER + #acc.id + #order_id + #effect_texts + #record
  journal_effect(acc.part, struct.pack(LAYOUT.ORDER_EFFECT, size, effect_kind, time_ms, acc.reserved, acc.receivable,
    acc.pending, acc.id, order_id) .. effect_texts, record)
end

-- Takes over a changed reservation: it is packed, journaled as an effect of this kind, and written by `flush`.
local function store_order(acc, order_id, order, effect_kind, effect_texts, time_ms)
  order.revision = order.revision + 1
  order.record = pack_order(order)
  order.changed = true
  acc.orders[order_id] = order
  journal_order(acc, order_id, order.record, effect_kind, effect_texts, time_ms)
end

-- Returns the answer of an operation whose result is a record in a state; state 0 is a decision without a reservation.
local function record_answer(acc, state, record, answer_flags, over_committed)
  return struct.pack(LAYOUT.ORDER_ANSWER, 0, answer_flags, state, over_committed, acc.currency) .. record
end

-- Returns the answer of an operation whose result is a reservation as it is now.
local function order_answer(acc, order, answer_flags, over_committed)
  return record_answer(acc, state_now(acc.part, order), order.record, answer_flags, over_committed)
end
