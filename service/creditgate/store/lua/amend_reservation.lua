-- AmendReservation: changes the total of what is held, and until when. A total that rises is judged as an order of that
-- total, which takes of the credit what is to be held more; when that is rejected, nothing changes; when a person has
-- to decide, the order stays held at its old total, until the old end. A total that falls or stays is not judged.
-- Takes LAYOUT.AMEND_RESERVATION; answers ORDER_ANSWER with the DECISION about the change behind the order's own, or
-- ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND, CURRENCY_MISMATCH, REQUEST_EXISTS_WITH_DIFFERENT_DETAILS, ETAG_MISMATCH,
-- RESERVATION_NOT_HELD, INVALID_FIELD (a hold longer than the policy allows), EXCHANGE_RATE_NOT_FOUND (of its group),
-- SUM_OUT_OF_RANGE.

-- Answers for a request that was carried out before: the first decision, the reservation as it is now.
local function replay_amend(acc, order, marker, amount, hold_s)
  local first_amount, first_hold_s, after = struct.unpack(LAYOUT.AMEND_MARKER, marker.record)
  if first_amount ~= amount or first_hold_s ~= hold_s then
    return failure(ERROR.REQUEST_EXISTS_WITH_DIFFERENT_DETAILS, first_amount, order.currency)
  end
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED, 0) .. string.sub(marker.record, after)
end

-- Returns what an amend would hold and the decision about it; or nil and why it can't be judged.
local function judge_amend(acc, order, amount)
  if amount <= order.amount then
    -- Never more than a total that is held already, so it can be counted.
    local held = held_of(order, amount, order.committed)
    return { held = held, outcome = OUTCOME.APPROVED, decision = pack_decision(acc, OUTCOME.APPROVED, 0, '') }
  end
  local asked, failed = ask_for(acc, order, amount)
  if not asked then
    return nil, failed
  end
  local outcome, reason_count, reasons = decide(acc, asked, false)
  return { held = asked.held, outcome = outcome, decision = pack_decision(acc, outcome, reason_count, reasons) }
end

-- Holds what the new total leaves to be held; a total that is invoiced already ends the reservation.
local function apply_amend(acc, order_id, order, amount, held, expire_s)
  local invoiced = order.committed >= amount
  drop_waiting(acc, order_id, order)
  count_velocity(acc, held - order.held)
  hold_until(acc, order_id, order, held, invoiced and order.expire_s or expire_s)
  order.amount = amount
  if invoiced then
    end_order(acc, order_id, order, STATE.COMMITTED)
  end
end

-- Lets the new total wait for a person, in the place of another that waits already.
local function await_amend(acc, order_id, order, amount, held)
  drop_waiting(acc, order_id, order)
  order.waiting = { amount = amount, more = held - order.held }
  add_pending(acc, order.expire_s, order.waiting.more)
  mark_waiting(acc, order_id, true)
end

operations[OPERATION.AMEND_RESERVATION] = function(part, blob)
  local _, _, amount, hold_s, etag_ms, etag_revision, account_id, order_id, currency, request_id
    = struct.unpack(LAYOUT.AMEND_RESERVATION, blob)
  local acc, order = find_order(part, account_id, order_id)
  if not acc then
    return order
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
  if hold_s > part.policy.hold_longest_s then
    return failure(ERROR.INVALID_FIELD, part.policy.hold_longest_s, 'hold_duration')
  end
  local judged, failed = judge_amend(acc, order, amount)
  if not judged then
    return failed
  end

  local change = struct.pack(LAYOUT.AMEND_MARKER, amount, hold_s) .. judged.decision
  if judged.outcome == OUTCOME.REJECTED then
    journal_order(acc, order_id, order.record, EFFECT.AMEND_REJECTED, request_id .. '\0', part.now_ms, change)
    return order_answer(acc, order, 0, 0) .. judged.decision
  end
  if judged.outcome == OUTCOME.PENDING_REVIEW then
    await_amend(acc, order_id, order, amount, judged.held)
  else
    local expire_s = hold_s > 0 and math.ceil(part.now_ms / 1000) + hold_s or order.expire_s
    apply_amend(acc, order_id, order, amount, judged.held, expire_s)
  end
  if request_id ~= '' then
    put_ledger_record(acc, field, change)
    retire_later(part, part.now_s, acc.id, field)
  end
  store_order(acc, order_id, order, EFFECT.AMENDED, request_id .. '\0', part.now_ms, change)
  return order_answer(acc, order, 0, 0) .. judged.decision
end
