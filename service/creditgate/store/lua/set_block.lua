-- BlockAccount, UnblockAccount: stops an account, or lets it go on.
-- Takes LAYOUT.SET_BLOCK; answers ACCOUNT_ANSWER, or ACCOUNT_NOT_FOUND, INVALID_FIELD (an end that is past).

operations[OPERATION.SET_BLOCK] = function(part, blob)
  local _, _, present, expire_s, account_id, reason, actor = struct.unpack(LAYOUT.SET_BLOCK, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  if expire_s ~= 0 and expire_s <= part.now_s then
    return failure(ERROR.INVALID_FIELD, part.now_ms, 'expire_time')
  end
  set_block(acc, present == 1, expire_s, reason, actor)
  settle_limit(acc)
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, actor, reason, 0)
end
