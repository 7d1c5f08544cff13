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

local count_in_group

do
  -- Adds what falls due of an account to what does of its group (`sign` 1), or takes it off (-1).
  local function count_due_in_group(acc, group, sign)
    local seconds, sums, last = {}, {}, 0
    each_due(acc.part, acc, function(second, tag, sum)
      if tag == '' then
        seconds[#seconds + 1], sums[#sums + 1], last = second, sum, math.max(last, second)
      end
    end)
    if #seconds > UNSORTED_MAX then
      unsorted_due.sort(acc.part, group, last)
    end
    for index = 1, #seconds do
      add_due(acc.part, group, seconds[index], acc.currency, sign * sums[index])
    end
  end

  -- Lets a currency leave a group with an account when nothing is left of it. Another account of that currency that
  -- has nothing either brings it back with its next order.
  local function drop_unused(sums, at)
    if sums[at + GROUP_SUM.RESERVED] == 0 and sums[at + GROUP_SUM.RECEIVABLE] == 0
      and sums[at + GROUP_SUM.OWED] == 0 then
      for _ = 1, GROUP_SUMS_STEP do
        table.remove(sums, at)
      end
    end
  end

  -- Adds all that an account has to its group's sums (`sign` 1), or takes it off (-1).
  function count_in_group(acc, sign)
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
    count_due_in_group(acc, group, sign)
    if sign < 0 then
      drop_unused(sums, at)
    end
  end
end

-- Takes an account out of its group and into another ('': none), with all that it has.
local function change_group(acc, group_id)
  if group_id ~= acc.group_id then
    count_in_group(acc, -1)
    acc.group_id, acc.furnished = group_id, true
    count_in_group(acc, 1)
  end
end
