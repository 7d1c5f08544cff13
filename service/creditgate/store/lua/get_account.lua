-- GetAccount: the account as it is now. Reads only.
-- Takes LAYOUT.ACCOUNT_NAMED; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND.

operations[OPERATION.GET_ACCOUNT] = function(part, blob)
  local _, _, account_id = struct.unpack(LAYOUT.ACCOUNT_NAMED, blob)
  local acc = load_account(part, account_id)
  return acc and account_answer(acc, 0) or absent(part, account_id)
end
