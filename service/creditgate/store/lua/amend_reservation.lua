-- AmendReservation: changes the total of what is held, and until when. What it holds more is judged as an order of that
-- amount; when that is rejected, nothing changes. A decrease never fails.
-- Takes LAYOUT.AMEND_RESERVATION; answers ORDER_ANSWER with the DECISION about the change behind the order's own, or
-- ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND, CURRENCY_MISMATCH, REQUEST_EXISTS_WITH_DIFFERENT_DETAILS, ETAG_MISMATCH,
-- RESERVATION_NOT_HELD, SUM_OUT_OF_RANGE.

-- Answers for a request that was carried out before: the first decision, the reservation as it is now.
local function replay_amend(acc, order, marker, amount, hold_s)
  local first_amount, first_hold_s, after = struct.unpack(LAYOUT.AMEND_MARKER, marker.record)
  if first_amount ~= amount or first_hold_s ~= hold_s then
    return failure(ERROR.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS, first_amount, order.currency)
  end
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED, 0) .. string.sub(marker.record, after)
end

-- Holds what the new total leaves to be held; a total that is invoiced already ends the reservation.
local function apply_amend(acc, order_id, order, amount, held, expire_s)
  local invoiced = order.committed >= amount
  hold_until(acc, order_id, order, held, invoiced and order.expire_s or expire_s)
  order.amount = amount
  if invoiced then
    end_order(acc, order_id, order, STATE.COMMITTED)
  end
end

operations[OPERATION.AMEND_RESERVATION] = function(part, policy, blob)
  local _, _, amount, hold_s, etag_ms, etag_revision, account_id, order_id, currency, request_id
    = struct.unpack(LAYOUT.AMEND_RESERVATION, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return failure(ERROR.ACCOUNT_NOT_FOUND)
  end
  local order = load_order(acc, order_id)
  if not order then
    return failure(ERROR.RESERVATION_NOT_FOUND)
  end
  if currency ~= order.currency then
    return failure(ERROR.CURRENCY_MISMATCH, 0, order.currency)
  end
  local field = 'a:' .. order_id .. '|' .. request_id
  local marker = request_id ~= '' and load_ledger_entry(acc, field)
  if marker then
    return replay_amend(acc, order, marker, amount, hold_s)
  end
  if not is_current(order, etag_ms, etag_revision) then
    return failure(ERROR.ETAG_MISMATCH)
  end
  local state = state_now(part, order)
  if state ~= STATE.HELD then
    return failure(ERROR.RESERVATION_NOT_HELD, state)
  end
  local held = net_of(math.max(amount, order.committed), order.secured) - net_of(order.committed, order.secured)
  local outcome, reason_count, reasons = OUTCOME.APPROVED, 0, ''
  if held > order.held then
    local more = held - order.held
    local refusal = uncountable(acc, more)
    if refusal then
      return refusal
    end
    outcome, reason_count, reasons = decide(acc, policy, more, false)
  end

  local decision = pack_decision(acc, policy, outcome, reason_count, reasons)
  local change = struct.pack(LAYOUT.AMEND_MARKER, amount, hold_s) .. decision
  if outcome == OUTCOME.REJECTED then
    journal_order(acc, order_id, order.record, EFFECT.AMEND_REJECTED, request_id .. '\0', part.now_ms, change)
    return order_answer(acc, order, 0, 0) .. decision
  end
  local expire_s = hold_s > 0 and math.ceil(part.now_ms / 1000) + hold_s or order.expire_s
  apply_amend(acc, order_id, order, amount, held, expire_s)
  if request_id ~= '' then
    put_ledger_record(acc, field, change)
    retire_later(part, part.now_s, acc.id, field)
  end
  store_order(acc, order_id, order, EFFECT.AMENDED, request_id .. '\0', part.now_ms, change)
  return order_answer(acc, order, 0, 0) .. decision
end
