-- RecordPayment: the customer has paid; the receivable goes down and may become negative, and so does what is overdue.
-- Takes LAYOUT.RECORD_ENTRY; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE,
-- PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS.

operations[OPERATION.RECORD_PAYMENT] = function(part, blob)
  local _, _, amount, account_id, payment_id, currency = struct.unpack(LAYOUT.RECORD_ENTRY, blob)
  return record_entry(part, account_id, currency, 'p:' .. payment_id, LEDGER_KIND.PAYMENT, -amount,
    ERROR.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS)
end
