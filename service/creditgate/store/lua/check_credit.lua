-- CheckCredit: what ReserveCredit would decide. Reads only.
-- Takes LAYOUT.CHECK_CREDIT; answers ORDER_ANSWER with state 0, or ACCOUNT_NOT_FOUND, EXCHANGE_RATE_NOT_FOUND,
-- SUM_OUT_OF_RANGE.

operations[OPERATION.CHECK_CREDIT] = function(part, blob)
  local _, _, explain, amount, secured, terms_days, account_id, currency = struct.unpack(LAYOUT.CHECK_CREDIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  local order, failed = new_order(acc, amount, secured, terms_days, currency)
  if not order then
    return failed
  end
  local asked
  asked, failed = ask_for(acc, order, amount, explain == 1)
  if not asked then
    return failed
  end
  order.decision = pack_decision(acc, decide(acc, asked, explain == 1))
  return record_answer(acc, 0, pack_order(order), 0, 0)
end
