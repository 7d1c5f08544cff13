-- PostReceivable: an invoice that no reservation stands for. Never refused for credit.
-- Takes LAYOUT.RECORD_ENTRY; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE,
-- DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS.

operations[OPERATION.POST_RECEIVABLE] = function(part, blob)
  local _, _, amount, account_id, document_id, currency = struct.unpack(LAYOUT.RECORD_ENTRY, blob)
  return record_entry(part, account_id, currency, 'd:' .. document_id, LEDGER_KIND.POSTING, amount,
    ERROR.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
end
