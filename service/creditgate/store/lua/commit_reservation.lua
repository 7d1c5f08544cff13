-- CommitReservation: turns (part of) a reservation into receivable. Never refused for credit, since the goods have
-- shipped: a commit after the hold's end is recorded and marked late, one above the order's total is recorded and its
-- excess returned. Takes LAYOUT.COMMIT_RESERVATION; answers ORDER_ANSWER, or ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND,
-- RESERVATION_NOT_HELD, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE, DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS.

-- Answers for a document that was recorded before: what that commit answered, with the reservation as it is now.
local function replay_commit(acc, order, entry, order_id, amount, final)
  local _, flags, first_amount, _, over_committed, _, first_order_id = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
  local first_final = flags >= LEDGER_FLAG.FINAL
  if first_order_id ~= order_id or first_amount ~= amount or first_final ~= final then
    return failure(ERROR.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS, first_amount, first_order_id)
  end
  local late = flags % 2 == LEDGER_FLAG.LATE
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED + (late and ANSWER_FLAG.LATE or 0), over_committed)
end

operations[OPERATION.COMMIT_RESERVATION] = function(part, _, blob)
  local _, _, final_flag, amount, account_id, order_id, currency, document_id
    = struct.unpack(LAYOUT.COMMIT_RESERVATION, blob)
  local final = final_flag == 1
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
  local entry = load_ledger_entry(acc, 'd:' .. document_id)
  if entry then
    return replay_commit(acc, order, entry, order_id, amount, final)
  end
  local state = state_now(part, order)
  if state == STATE.PENDING_REVIEW or state == STATE.REFUSED then
    return failure(ERROR.RESERVATION_NOT_HELD, state)
  end
  local committed = order.committed + amount
  local receivable = net_of(committed, order.secured) - net_of(order.committed, order.secured)
  local secured = amount - receivable
  local late = state ~= STATE.HELD
  local held_before = late and 0 or order.held
  local held_after = (late or final or committed >= order.amount) and 0 or held_before - receivable
  local exposure = acc.reserved - held_before + held_after + math.max(0, acc.receivable + receivable)
  if math.max(committed, acc.receivable + receivable, acc.secured_receivable + secured, exposure + acc.pending)
    > AMOUNT_MAX then
    local sum = math.max(order.committed, acc.secured_receivable, exposure_of(acc) + acc.pending)
    return failure(ERROR.SUM_OUT_OF_RANGE, sum, acc.currency)
  end

  local over_committed = math.max(0, committed - math.max(order.amount, order.committed))
  if not late then
    acc.reserved = acc.reserved - held_before + held_after
    add_due(acc, order.expire_s, held_after - held_before)
  end
  order.committed, order.held = committed, held_after
  if late or final or committed >= order.amount then
    order.state = STATE.COMMITTED
  end
  acc.receivable = acc.receivable + receivable
  acc.secured_receivable = acc.secured_receivable + secured
  acc.changed = true
  local flags = (late and LEDGER_FLAG.LATE or 0) + (final and LEDGER_FLAG.FINAL or 0)
  store_ledger_entry(acc, 'd:' .. document_id, LEDGER_KIND.COMMIT, flags, amount, receivable, over_committed, order_id)
  store_order(acc, order_id, order, EFFECT.COMMITTED, document_id .. '\0', part.now_ms)
  return order_answer(acc, order, late and ANSWER_FLAG.LATE or 0, over_committed)
end
