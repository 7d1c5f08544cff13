-- SetTemporaryLimit, ClearTemporaryLimit: a limit that counts instead of every other between two instants. Takes
-- LAYOUT.SET_TEMPORARY_LIMIT; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, INVALID_FIELD (an end
-- that is past).

operations[OPERATION.SET_TEMPORARY_LIMIT] = function(part, blob)
  local _, _, present, limit, start_s, end_s, account_id, currency, reason, actor
    = struct.unpack(LAYOUT.SET_TEMPORARY_LIMIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  local set = present == 1
  local failed = set and cannot_limit(acc, currency, end_s, 'end_time')
  if failed then
    return failed
  end
  acc.temporary = set and { limit = limit, start_s = start_s == 0 and part.now_s or start_s, end_s = end_s }
  set_decision(acc, 'temporary', set, reason, actor)
  settle_limit(acc)
  limit_changed(acc)
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, actor, reason, 0)
end
