-- PutAccount: creates an account, or changes the settings that its mask names. What is held and owed is never touched.
-- An account joins a group of its own partition with what it has, in one step; the store moves it there before. Takes
-- LAYOUT.PUT_ACCOUNT; answers ACCOUNT_ANSWER (flag CREATED for a new account), or ACCOUNT_NOT_FOUND (a new account
-- needs a currency), ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY, INVALID_FIELD (a block that is past), GROUP_NOT_FOUND,
-- GROUP_CURRENCIES_EXHAUSTED, SUM_OUT_OF_RANGE (of the group).

-- Sets the base limit; whoever sets it confirms it. The version stays, and so does the scheduled limit, which is newer
-- news; what the scorer said of the limit before goes.
local function set_base_limit(acc, mask, flags, limit, expire_s)
  if has_flag(mask, PUT_MASK.LIMIT) then
    acc.limit_set = has_flag(flags, ACCOUNT_FLAG.LIMIT_SET)
    acc.limit = limit
  end
  if has_flag(mask, PUT_MASK.UNLIMITED) then
    acc.unlimited = has_flag(flags, ACCOUNT_FLAG.UNLIMITED)
  end
  if has_flag(mask, PUT_MASK.LIMIT_EXPIRE) then
    acc.limit_expire_s = expire_s
  end
  if has_flag(mask, PUT_MASK.LIMIT) or has_flag(mask, PUT_MASK.UNLIMITED) then
    acc.limit_confirm_s = acc.part.now_s
    acc.score = false
    if acc.reasoned then
      acc.reasoned = false
      set_text(acc, reasons_name(acc, false), '')
    end
  end
end

local function apply_settings(acc, mask, flags, risk_class, name)
  if has_flag(mask, PUT_MASK.STATUS) then
    acc.closed = has_flag(flags, ACCOUNT_FLAG.CLOSED)
  end
  if has_flag(mask, PUT_MASK.RISK_CLASS) then
    acc.risk_class = risk_class
  end
  if has_flag(mask, PUT_MASK.DISPLAY_NAME) then
    acc.part.names[acc.id] = name
  end
end

operations[OPERATION.PUT_ACCOUNT] = function(part, blob)
  local _, _, mask, flags, limit, limit_expire_s, block_expire_s, account_id, currency, risk_class, name, block_reason,
    block_actor, group_id = struct.unpack(LAYOUT.PUT_ACCOUNT, blob)
  local acc = load_account(part, account_id)
  local created = not acc
  if created then
    if part.elsewhere[account_id] or part.accounts[account_id] then
      return absent(part, account_id)
    end
    if currency == '' then
      return failure(ERROR.ACCOUNT_NOT_FOUND)
    end
    acc = new_account(part, account_id, currency)
  elseif currency ~= '' and currency ~= acc.currency then
    return failure(ERROR.ACCOUNT_EXISTS_WITH_DIFFERENT_CURRENCY, 0, acc.currency)
  end
  if has_flag(mask, PUT_MASK.BLOCK) and block_expire_s ~= 0 and block_expire_s <= part.now_s then
    return failure(ERROR.INVALID_FIELD, part.now_ms, 'account.block.expire_time')
  end
  local joins = has_flag(mask, PUT_MASK.GROUP)
  local failed = joins and cannot_join(part, acc, group_id)
  if failed then
    return failed
  end
  if created then
    part.accounts[account_id] = acc
    part.names[account_id] = ''
  end
  set_base_limit(acc, mask, flags, limit, limit_expire_s)
  apply_settings(acc, mask, flags, risk_class, name)
  if has_flag(mask, PUT_MASK.BLOCK) then
    set_block(acc, has_flag(flags, ACCOUNT_FLAG.BLOCKED), block_expire_s, block_reason, block_actor)
  end
  if joins then
    change_group(acc, group_id)
  end
  settle_limit(acc)
  limit_changed(acc)
  return account_changed(acc, EFFECT.ACCOUNT_CHANGED, '', '', created and ANSWER_FLAG.CREATED or 0)
end
