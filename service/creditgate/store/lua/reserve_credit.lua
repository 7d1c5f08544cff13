-- ReserveCredit: decides about an order and holds its exposure if it is approved, in one step. Takes
-- LAYOUT.RESERVE_CREDIT; answers ORDER_ANSWER (state 0 when rejected), or ACCOUNT_NOT_FOUND, INVALID_FIELD (a hold
-- longer than the policy allows), EXCHANGE_RATE_NOT_FOUND, SUM_OUT_OF_RANGE, ORDER_EXISTS_WITH_DIFFERENT_DETAILS.

local STATE_OF_OUTCOME = {
  [OUTCOME.APPROVED] = STATE.HELD, [OUTCOME.FLAGGED] = STATE.HELD, [OUTCOME.PENDING_REVIEW] = STATE.PENDING_REVIEW,
  [OUTCOME.REJECTED] = 0,
}

-- Answers for an order that was decided before: the first decision, the present state.
local function replay_order(acc, order, amount, secured, terms_days, currency)
  if order.first_amount ~= amount or order.secured ~= secured or order.terms_days ~= terms_days
    or order.currency ~= currency then
    return failure(ERROR.ORDER_EXISTS_WITH_DIFFERENT_DETAILS, order.first_amount, order.currency)
  end
  return order_answer(acc, order, ANSWER_FLAG.REPLAYED, 0)
end

-- Takes over from an expired reservation of the order what it had invoiced: that stays invoiced, with its security and
-- at its rate. Returns whether the details allow it.
local function follow_earlier(acc, order_id, order, earlier)
  order.revision = earlier.revision
  if earlier.state == STATE.PENDING_REVIEW or earlier.waiting then
    mark_waiting(acc, order_id, false)
  end
  if earlier.committed > 0 then
    order.committed, order.rate = earlier.committed, earlier.rate
    return order.secured == earlier.secured and order.currency == earlier.currency
  end
  return true
end

-- Holds an order, or lets it wait for a person, until its second.
local function hold(acc, order_id, order, net, hold_s)
  order.expire_s = math.ceil(acc.part.now_ms / 1000) + hold_s
  order.held = net
  if order.state == STATE.HELD then
    add_reserved(acc, order.expire_s, net)
    count_velocity(acc, net)
  else
    add_pending(acc, order.expire_s, net)
    mark_waiting(acc, order_id, true)
  end
  acc.changed = true
  sweep_later(acc.part, order.expire_s, acc.id, order_id)
end

operations[OPERATION.RESERVE_CREDIT] = function(part, blob)
  local _, _, amount, secured, hold_s, terms_days, account_id, order_id, currency, source
    = struct.unpack(LAYOUT.RESERVE_CREDIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  local earlier = load_order(acc, order_id)
  if earlier and state_now(part, earlier) ~= STATE.EXPIRED then
    return replay_order(acc, earlier, amount, secured, terms_days, currency)
  end
  local policy = part.policy
  if hold_s > policy.hold_longest_s then
    return failure(ERROR.INVALID_FIELD, policy.hold_longest_s, 'hold_duration')
  end
  local order, failed = new_order(acc, amount, secured, terms_days, currency)
  if not order then
    return failed
  end
  if earlier and not follow_earlier(acc, order_id, order, earlier) then
    return failure(ERROR.ORDER_EXISTS_WITH_DIFFERENT_DETAILS, earlier.first_amount, earlier.currency)
  end
  local asked
  asked, failed = ask_for(acc, order, amount)
  if not asked then
    return failed
  end

  local outcome, reason_count, reasons = decide(acc, asked, false)
  order.decision = pack_decision(acc, outcome, reason_count, reasons)
  order.state = STATE_OF_OUTCOME[outcome]
  order.revision = order.revision + 1
  if order.state == STATE.HELD and order.committed >= amount then
    order.state = STATE.COMMITTED
    if is_open(earlier) then
      retire_later(part, part.now_s, acc.id, 'o:' .. order_id)
    end
  elseif order.state ~= 0 then
    hold(acc, order_id, order, asked.net, hold_s > 0 and hold_s or policy.hold_default_s)
  end
  order.record = pack_order(order)
  if order.state ~= 0 then
    order.changed = true
    acc.orders[order_id] = order
  end
  journal_order(acc, order_id, order.record, order.state == 0 and EFFECT.REJECTED or EFFECT.RESERVED, source .. '\0',
    part.now_ms, '')
  return record_answer(acc, order.state, order.record, 0, 0)
end
