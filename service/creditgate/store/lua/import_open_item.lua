-- ImportOpenItem: takes over what is still open of a document; an amount below 0 is a credit that is not used yet.
-- Takes LAYOUT.RECORD_ENTRY; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE,
-- DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS.

operations[OPERATION.IMPORT_OPEN_ITEM] = function(part, blob)
  local _, _, amount, account_id, document_id, currency = struct.unpack(LAYOUT.RECORD_ENTRY, blob)
  return record_entry(part, account_id, currency, 'd:' .. document_id, LEDGER_KIND.OPEN_ITEM, amount,
    ERROR.DOCUMENT_EXISTS_WITH_DIFFERENT_DETAILS)
end
