-- CheckCredit: what ReserveCredit would decide. Reads only.
-- Takes LAYOUT.CHECK_CREDIT; answers ORDER_ANSWER with state 0, or ACCOUNT_NOT_FOUND, EXCHANGE_RATE_NOT_FOUND,
-- SUM_OUT_OF_RANGE.

operations[OPERATION.CHECK_CREDIT] = function(part, policy, blob)
  local _, _, flags, amount, secured, account_id, currency = struct.unpack(LAYOUT.CHECK_CREDIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return failure(ERROR.ACCOUNT_NOT_FOUND)
  end
  local net = net_of(amount, secured)
  local refusal = unjudgeable(acc, currency, net)
  if refusal then
    return refusal
  end
  local decision = pack_decision(acc, policy, decide(acc, policy, net, flags == 1))
  local order = struct.pack(LAYOUT.ORDER, 0, 0, 0, amount, amount, secured, 0, 0, 0, part.now_s, currency)
  return record_answer(acc, 0, order .. decision, 0, 0)
end
