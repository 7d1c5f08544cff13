-- ReserveCredit: decides about an order and holds its exposure if it is approved, in one step.
-- Takes LAYOUT.RESERVE_CREDIT; answers ORDER_ANSWER (state 0 when rejected), or ACCOUNT_NOT_FOUND,
-- EXCHANGE_RATE_NOT_FOUND, SUM_OUT_OF_RANGE, ORDER_EXISTS_WITH_DIFFERENT_DETAILS.

-- Answers for an order that was decided before: the first decision, the present state.
local function replay_order(acc, order, amount, secured, terms_days, currency)
  if order.first_amount ~= amount or order.secured ~= secured or order.terms_days ~= terms_days
    or order.currency ~= currency then
    return failure(ERROR.ORDER_EXISTS_WITH_DIFFERENT_DETAILS, order.first_amount, order.currency)
  end
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED, 0)
end

-- Holds the net amount of an order until its second.
local function hold(acc, order_id, net, expire_s)
  acc.reserved = acc.reserved + net
  acc.changed = true
  add_due(acc, expire_s, net)
  sweep_later(acc.part, expire_s, acc.id, order_id)
end

operations[OPERATION.RESERVE_CREDIT] = function(part, policy, blob)
  local _, _, amount, secured, hold_s, terms_days, account_id, order_id, currency, source
    = struct.unpack(LAYOUT.RESERVE_CREDIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return failure(ERROR.ACCOUNT_NOT_FOUND)
  end
  local earlier = load_order(acc, order_id)
  if earlier and state_now(part, earlier) ~= STATE.EXPIRED then
    return replay_order(acc, earlier, amount, secured, terms_days, currency)
  end
  -- What an expired reservation of this order had committed stays committed, and its security with it.
  local committed = earlier and earlier.committed or 0
  if committed > 0 and (secured ~= earlier.secured or currency ~= earlier.currency) then
    return failure(ERROR.ORDER_EXISTS_WITH_DIFFERENT_DETAILS, earlier.first_amount, earlier.currency)
  end
  local net = net_of(math.max(amount, committed), secured) - net_of(committed, secured)
  local refusal = unjudgeable(acc, currency, net)
  if refusal then
    return refusal
  end

  local outcome, reason_count, reasons = decide(acc, policy, net, false)
  local rejected = outcome == OUTCOME.REJECTED
  local state = rejected and 0 or committed >= amount and STATE.COMMITTED or STATE.HELD
  local held = state == STATE.HELD
  local expire_s = held and math.ceil(part.now_ms / 1000) + hold_s or 0
  local revision = (earlier and earlier.revision or 0) + 1
  local record = struct.pack(LAYOUT.ORDER, state, terms_days, revision, amount, amount, secured, committed,
    held and net or 0, expire_s, part.now_s, currency) .. pack_decision(acc, policy, outcome, reason_count, reasons)
  if held then
    hold(acc, order_id, net, expire_s)
  elseif not rejected and earlier.state == STATE.HELD then
    retire_later(part, part.now_s, acc.id, 'o:' .. order_id)
  end
  if not rejected then
    acc.orders[order_id] = { record = record, changed = true }
  end
  journal_order(acc, order_id, record, rejected and EFFECT.REJECTED or EFFECT.RESERVED, source .. '\0', part.now_ms, '')
  return record_answer(acc, state, record, 0, 0)
end
