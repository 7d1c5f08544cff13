-- CloseAccount: closes an account to new orders. Closing a closed account changes nothing.
-- Takes LAYOUT.ACCOUNT_NAMED; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND.

operations[OPERATION.CLOSE_ACCOUNT] = function(part, blob)
  local _, _, account_id = struct.unpack(LAYOUT.ACCOUNT_NAMED, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  if acc.closed then
    return account_answer(acc, ANSWER_FLAG.REPLAYED)
  end
  acc.closed = true
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, '', '', 0)
end
