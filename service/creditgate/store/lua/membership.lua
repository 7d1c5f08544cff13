-- Which group an account belongs to. It joins and leaves with all that it has, in one step.

-- Returns why an account can't join a group, or nil.
local function cannot_join(part, acc, group_id)
  if group_id == '' or group_id == acc.group_id then
    return nil
  end
  local group = load_group(part, group_id)
  if not group then
    return failure(ERROR.GROUP_NOT_FOUND, 0, group_id)
  end
  local sums, at = find_sums(group, acc.currency)
  if not at then
    local is_full = #sums >= GROUP_CURRENCIES_MAX * GROUP_SUMS_STEP
    return is_full and failure(ERROR.GROUP_CURRENCIES_EXHAUSTED, 0, group_id) or nil
  end
  local reserved, owed = sums[at + GROUP_SUM.RESERVED], sums[at + GROUP_SUM.OWED]
  if math.max(reserved + acc.reserved, owed + math.max(0, acc.receivable),
    math.abs(sums[at + GROUP_SUM.RECEIVABLE] + acc.receivable)) > AMOUNT_MAX then
    return failure(ERROR.SUM_OUT_OF_RANGE, math.max(reserved, owed), acc.currency)
  end
end

-- Adds all that an account has to its group's sums (`sign` 1), or takes it off (-1).
local function count_in_group(acc, sign)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if not group then
    return
  end
  local sums, at = group_sums(group, acc.currency)
  sums[at + GROUP_SUM.RESERVED] = sums[at + GROUP_SUM.RESERVED] + sign * acc.reserved
  sums[at + GROUP_SUM.RECEIVABLE] = sums[at + GROUP_SUM.RECEIVABLE] + sign * acc.receivable
  sums[at + GROUP_SUM.OWED] = sums[at + GROUP_SUM.OWED] + sign * math.max(0, acc.receivable)
  group.account_count = group.account_count + sign
  group.changed = true
  each_due(acc.part, acc, function(second, tag, sum)
    if tag == '' then
      add_due(acc.part, group, second, acc.currency, sign * sum)
    end
  end)
end

-- Takes an account out of its group and into another ('': none), with all that it has.
local function change_group(acc, group_id)
  if group_id ~= acc.group_id then
    count_in_group(acc, -1)
    acc.group_id, acc.furnished = group_id, true
    count_in_group(acc, 1)
  end
end
