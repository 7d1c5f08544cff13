-- PutAccount: creates an account, or changes the settings that its mask names. What is held and owed is never touched.
-- Takes LAYOUT.PUT_ACCOUNT; answers ACCOUNT_ANSWER (flag CREATED for a new account), or ACCOUNT_NOT_FOUND (a new
-- account needs a currency), ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY.

local function has_flag(flags, flag)
  return math.floor(flags / flag) % 2 == 1
end

local function apply_settings(acc, mask, flags, limit)
  if has_flag(mask, PUT_MASK.LIMIT) then
    acc.limit_set = has_flag(flags, ACCOUNT_FLAG.LIMIT_SET)
    acc.limit = limit
  end
  if has_flag(mask, PUT_MASK.UNLIMITED) then
    acc.unlimited = has_flag(flags, ACCOUNT_FLAG.UNLIMITED)
  end
  if has_flag(mask, PUT_MASK.STATUS) then
    acc.closed = has_flag(flags, ACCOUNT_FLAG.CLOSED)
  end
end

local function apply_texts(acc, mask, flags, risk_class, name, block_reason, block_actor)
  local part = acc.part
  if has_flag(mask, PUT_MASK.RISK_CLASS) then
    acc.risk_class = risk_class
  end
  if has_flag(mask, PUT_MASK.DISPLAY_NAME) then
    part.names[acc.id] = name
  end
  if has_flag(mask, PUT_MASK.BLOCK) then
    acc.blocked = has_flag(flags, ACCOUNT_FLAG.BLOCKED)
    acc.block = acc.blocked and { reason = block_reason, actor = block_actor, time_ms = part.now_ms } or nil
    acc.texts_changed = true
  end
end

operations[OPERATION.PUT_ACCOUNT] = function(part, _, blob)
  local _, _, mask, flags, limit, account_id, currency, risk_class, name, block_reason, block_actor
    = struct.unpack(LAYOUT.PUT_ACCOUNT, blob)
  local acc = load_account(part, account_id)
  local created = not acc
  if created then
    if currency == '' then
      return failure(ERROR.ACCOUNT_NOT_FOUND)
    end
    acc = new_account(part, account_id, currency)
    part.accounts[account_id] = acc
    part.names[account_id] = ''
  elseif currency ~= '' and currency ~= acc.currency then
    return failure(ERROR.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY, 0, acc.currency)
  end
  apply_settings(acc, mask, flags, limit)
  apply_texts(acc, mask, flags, risk_class, name, block_reason, block_actor)
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, created and ANSWER_FLAG.CREATED or 0)
end
