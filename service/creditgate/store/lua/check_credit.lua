-- CheckCredit: what ReserveCredit would decide. Reads only.
-- Takes LAYOUT.CHECK_CREDIT; answers ORDER_ANSWER with state 0, or ACCOUNT_NOT_FOUND, EXCHANGE_RATE_NOT_FOUND,
-- SUM_OUT_OF_RANGE.

-- Returns why an order of this currency and net amount can't be judged, or nil.
local function unjudgeable(acc, currency, net)
  if currency ~= acc.currency then
    return failure(ERROR.EXCHANGE_RATE_NOT_FOUND, 0, acc.currency)
  end
  local sum = exposure_of(acc) + acc.pending
  if sum + net > AMOUNT_MAX then
    return failure(ERROR.SUM_OUT_OF_RANGE, sum, acc.currency)
  end
end

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
  local outcome, reason_count, reasons = decide(acc, policy, net, flags == 1)
  local asked = {
    amount = amount, secured = secured, terms_days = 0, currency = currency, committed = 0, held = 0, expire_s = 0,
  }
  return record_answer(acc, 0, pack_decided(acc, policy, 0, 0, outcome, reason_count, reasons, asked), 0, 0)
end
