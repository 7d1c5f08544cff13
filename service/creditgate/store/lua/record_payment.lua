-- RecordPayment: the customer has paid; the receivable goes down and may become negative. What security covers is
-- counted as paid first: it takes no credit, so that a payment for it must not raise headroom.
-- Takes LAYOUT.RECORD_PAYMENT; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, SUM_OUT_OF_RANGE,
-- PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS.

operations[OPERATION.RECORD_PAYMENT] = function(part, _, blob)
  local _, _, amount, account_id, payment_id, currency = struct.unpack(LAYOUT.RECORD_PAYMENT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return failure(ERROR.ACCOUNT_NOT_FOUND)
  end
  if currency ~= acc.currency then
    return failure(ERROR.CURRENCY_MISMATCH, 0, acc.currency)
  end
  local field = 'p:' .. payment_id
  local entry = load_ledger_entry(acc, field)
  if entry then
    local _, _, first_amount = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
    if first_amount ~= amount then
      return failure(ERROR.PAYMENT_EXISTS_WITH_DIFFERENT_DETAILS, first_amount, acc.currency)
    end
    return account_answer(acc, ANSWER_FLAG.REPLAYED)
  end
  local covered = math.min(acc.secured_receivable, amount)
  local change = covered - amount
  if acc.receivable + change < -AMOUNT_MAX then
    return failure(ERROR.SUM_OUT_OF_RANGE, acc.receivable, acc.currency)
  end
  acc.secured_receivable = acc.secured_receivable - covered
  acc.receivable = acc.receivable + change
  acc.changed = true
  store_ledger_entry(acc, field, LEDGER_KIND.PAYMENT, 0, amount, change, 0, '')
  journal_effect(part, struct.pack(LAYOUT.PAYMENT_EFFECT, EFFECT_HEAD.PAYMENT + #account_id + #payment_id, EFFECT.PAID,
  part.now_ms, acc.reserved, acc.receivable,
    acc.pending, amount, account_id, payment_id), '')
  return account_answer(acc, 0)
end
