-- SetManualLimit, ClearManualLimit: a limit that a person has set, in the place of the base limit until it expires.
-- Takes LAYOUT.SET_MANUAL_LIMIT; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, CURRENCY_MISMATCH, INVALID_FIELD (an end
-- that is past).

operations[OPERATION.SET_MANUAL_LIMIT] = function(part, blob)
  local _, _, present, unlimited, limit, expire_s, account_id, currency, reason, actor
    = struct.unpack(LAYOUT.SET_MANUAL_LIMIT, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  local set = present == 1
  local failed = set and cannot_limit(acc, currency, expire_s, 'expire_time')
  if failed then
    return failed
  end
  acc.manual = set and { limit = limit, expire_s = expire_s, unlimited = unlimited == 1 }
  set_decision(acc, 'manual', set, reason, actor)
  settle_limit(acc)
  limit_changed(acc)
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, actor, reason, 0)
end
