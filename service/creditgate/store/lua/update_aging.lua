-- UpdateAging: replaces what the ERP says of overdue items. Figures of an earlier instant than those that are there are
-- ignored; the same figures of the same instant are a replay, also when payments have reduced them since.
-- Takes LAYOUT.UPDATE_AGING; answers ACCOUNT_ANSWER (flag IGNORED for earlier figures), or ACCOUNT_NOT_FOUND,
-- INVALID_FIELD (an instant too far ahead).

operations[OPERATION.UPDATE_AGING] = function(part, blob)
  local _, _, overdue, disputed, due_day, as_of_ms, account_id = struct.unpack(LAYOUT.UPDATE_AGING, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  if as_of_ms > part.now_ms + AGING_AHEAD_MAX_S * 1000 then
    return failure(ERROR.INVALID_FIELD, part.now_ms, 'as_of')
  end
  local known = acc.aging
  if known and as_of_ms < known[AGING.AS_OF_MS] then
    return account_answer(acc, ANSWER_FLAG.IGNORED)
  end
  if known and as_of_ms == known[AGING.AS_OF_MS] and overdue == known[AGING.REPORTED_OVERDUE]
    and disputed == known[AGING.DISPUTED] and due_day == known[AGING.REPORTED_DUE_DAY] then
    return account_answer(acc, ANSWER_FLAG.REPLAYED)
  end
  acc.furnished = true
  acc.aging = { overdue, disputed, due_day, as_of_ms, overdue, due_day }
  return account_changed(acc, EFFECT.AGED, '', '', 0)
end
