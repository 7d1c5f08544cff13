-- CommitReservation: turns (part of) a reservation into receivable. Never refused for credit, since the goods have
-- shipped: a commit after the hold's end is recorded and marked late, one above the order's total is recorded and its
-- excess returned. A document that the ERP has posted already is not owed again: the commit only takes it off the hold.
-- Takes LAYOUT.COMMIT_RESERVATION; answers ORDER_ANSWER, or ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND,
-- RESERVATION_NOT_HELD, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE, DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS.

-- Answers for a document that was committed before: what that commit answered, with the reservation as it is now.
local function replay_commit(acc, order, known, order_id, amount, final)
  local first_final = math.floor(known.flags / LEDGER_FLAG.FINAL) % 2 == 1
  if known.order_id ~= order_id or known.amount ~= amount or first_final ~= final then
    return failure(ERROR.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS, math.abs(known.amount), known.order_id)
  end
  local late = known.flags % 2 == LEDGER_FLAG.LATE
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED + (late and ANSWER_FLAG.LATE or 0), known.over_committed)
end

-- Returns what is known of a document, or false.
local function load_document(acc, document_id)
  local entry = load_ledger_entry(acc, 'd:' .. document_id)
  if not entry then
    return false
  end
  local kind, flags, amount, change, over_committed, _, secured_change, order_id
    = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
  return {
    kind = kind, flags = flags, amount = amount, change = change, secured_change = secured_change,
    over_committed = over_committed, order_id = order_id,
  }
end

-- Returns by how much invoicing an order from one sum to another changes what is owed, and what of it security covers;
-- both in the account's currency, each sum rounded up, so that parts always add up. Or nil beyond the range.
local function invoiced_between(order, from, to)
  local owed_after, covered_after = worth(order, net_of(to, order.secured)), worth(order, math.min(to, order.secured))
  if not owed_after or not covered_after then
    return nil
  end
  return owed_after - worth(order, net_of(from, order.secured)),
    covered_after - worth(order, math.min(from, order.secured))
end

-- Returns what a commit does to an order and its account, all of it computed before anything is changed; or nil beyond
-- the range. What the ERP has posted already is replaced, not added to; an amount that it posted in another currency
-- stays.
local function plan_commit(acc, order, state, amount, final, posted)
  local committed = order.committed + amount
  local change, secured_change = invoiced_between(order, order.committed, committed)
  if committed > AMOUNT_MAX or not change then
    return nil
  end
  if posted and order.rate then
    change, secured_change = posted.change, posted.secured_change
  end
  local late = state ~= STATE.HELD
  local ends = late or final or committed >= order.amount
  local plan = {
    committed = committed, change = change, secured_change = secured_change, late = late, ends = ends,
    held = ends and 0 or held_of(order, order.amount, committed),
    over_committed = math.max(0, committed - math.max(order.amount, order.committed)),
    -- Differences first: a sum of two large amounts would not be exact.
    receivable = acc.receivable + (change - (posted and posted.change or 0)),
    secured_receivable = acc.secured_receivable + (secured_change - (posted and posted.secured_change or 0)),
  }
  local reserved_change = late and 0 or plan.held - order.held
  local exposure = acc.reserved + reserved_change + math.max(0, plan.receivable)
  plan.too_low = plan.receivable < -AMOUNT_MAX
  plan.too_high = math.max(plan.secured_receivable, exposure + acc.pending) > AMOUNT_MAX
  plan.group_counts = group_counts(acc, reserved_change, plan.receivable)
  return plan
end

-- Returns the sum that a commit would bring out of range.
local function sum_out_of_range(acc, order, plan)
  if plan and plan.too_low then
    return acc.receivable
  end
  return math.max(order.committed, acc.secured_receivable, exposure_of(acc) + acc.pending)
end

local function apply_commit(acc, order_id, order, plan)
  if plan.late then
    order.held = 0
  else
    if plan.ends then
      drop_waiting(acc, order_id, order)
    end
    hold_until(acc, order_id, order, plan.held, order.expire_s)
  end
  order.committed = plan.committed
  if plan.ends then
    end_order(acc, order_id, order, STATE.COMMITTED)
  end
  set_receivable(acc, plan.receivable)
  acc.secured_receivable = plan.secured_receivable
  acc.changed = true
end

operations[OPERATION.COMMIT_RESERVATION] = function(part, blob)
  local _, _, final_flag, amount, account_id, order_id, currency, document_id
    = struct.unpack(LAYOUT.COMMIT_RESERVATION, blob)
  local final = final_flag == 1
  local acc, order = find_order(part, account_id, order_id)
  if not acc then
    return order
  end
  if currency ~= order.currency then
    return failure(ERROR.CURRENCY_MISMATCH, 0, order.currency)
  end
  local posted = load_document(acc, document_id)
  if posted and posted.kind == LEDGER_KIND.COMMIT then
    return replay_commit(acc, order, posted, order_id, amount, final)
  end
  if posted and posted.amount ~= amount and (posted.amount < 0 or not order.rate) then
    return failure(ERROR.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS, math.abs(posted.amount), '')
  end
  local state = state_now(part, order)
  if state == STATE.PENDING_REVIEW or state == STATE.REFUSED then
    return failure(ERROR.RESERVATION_NOT_HELD, state)
  end
  local plan = plan_commit(acc, order, state, amount, final, posted)
  if not plan or plan.too_high or plan.too_low then
    return failure(ERROR.SUM_OUT_OF_RANGE, sum_out_of_range(acc, order, plan), acc.currency)
  elseif not plan.group_counts then
    return group_out_of_range(acc.group_id, acc.currency)
  end

  apply_commit(acc, order_id, order, plan)
  local flags = (plan.late and LEDGER_FLAG.LATE or 0) + (final and LEDGER_FLAG.FINAL or 0)
    + (posted and LEDGER_FLAG.POSTED or 0)
  local field = 'd:' .. document_id
  local entry = put_ledger_record(acc, field, pack_ledger_entry(acc, LEDGER_KIND.COMMIT, flags, amount, plan.change,
    plan.secured_change, plan.over_committed, order_id))
  if not posted then
    retire_later(part, part.now_s, acc.id, field)
  end
  store_order(acc, order_id, order, EFFECT.COMMITTED, document_id .. '\0', part.now_ms, entry)
  return order_answer(acc, order, (plan.late and ANSWER_FLAG.LATE or 0) + (posted and ANSWER_FLAG.REPLAYED or 0),
    plan.over_committed)
end
