-- What rows of a limit batch would do to their accounts as they are now. The rows are let count in the tables of this
-- call, and nothing of that is written. What most rows do is told in sums; one by one are told those that a guard rail
-- or a list of the largest changes may want, and those that do something else than move one ceiling to another.

local limit_effects = {}

do
  local STANDING_OF = {
    [ROW_FATE.SKIPPED] = ROW_STANDING.SKIPPED, [ROW_FATE.CURRENCY_MISMATCH] = ROW_STANDING.CURRENCY_MISMATCH,
  }

  -- Tells what a row does by itself.
  local function tell(told, number, account_id, standing, marks, before, after, exposure, free, free_after, fitting,
      currency)
    local count = told.count + 1
    told.count = count
    told.effects[count] = struct.pack(LAYOUT.ROW_EFFECT, number, standing, marks, before, after, exposure,
      free > 0 and free or 0, free_after > 0 and free_after or 0, fitting, currency)
    told.account_ids[count] = account_id .. '\0'
  end

  -- Tells that a row does not count.
  local function tell_idle(told, number, account_id, standing, currency)
    tell(told, number, account_id, standing, 0, 0, 0, 0, 0, 0, 0, currency)
  end

  -- Tells the sums of rows in a currency: how many limits rise, fall and stay; limits before and after; headroom
  -- before and after.
  local function tell_sums(told, currency, sums)
    local packed = told.packed_sums
    packed[#packed + 1] = struct.pack(LAYOUT.ROW_SUMS, sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7],
      currency)
  end

  -- Adds a change from one ceiling to another to the sums of its currency. Returns false, and adds nothing, when it is
  -- to be told by itself: where it is noteworthy, so large that it can't be added exactly, or a raise from 0, which the
  -- sums can't tell from a first limit. A first limit is a raise, be it one of 0.
  local function add_up(told, currency, is_set, before, after, free, free_after)
    local change = after - before
    if change > told.raise_over or -change > told.cut_over or after == 0 and not is_set and told.raise_over <= 0
      or change < 0 and -change * BASIS_POINTS >= before * told.cut_bps
      or is_set and before == 0 and after > 0
      or before > 0 and after >= before * told.raise_factor or free > AMOUNT_MAX or free_after > AMOUNT_MAX then
      return false
    end
    free, free_after = free > 0 and free or 0, free_after > 0 and free_after or 0
    local sums = told.sums[currency]
    if not sums or sums[4] + before > AMOUNT_MAX or sums[5] + after > AMOUNT_MAX or sums[6] + free > AMOUNT_MAX
      or sums[7] + free_after > AMOUNT_MAX then
      if sums then
        tell_sums(told, currency, sums)
      end
      sums = { 0, 0, 0, 0, 0, 0, 0 }
      told.sums[currency] = sums
    end
    local kind = (change > 0 or not is_set) and 1 or change < 0 and 2 or 3
    sums[kind] = sums[kind] + 1
    sums[4], sums[5], sums[6], sums[7] = sums[4] + before, sums[5] + after, sums[6] + free, sums[7] + free_after
    return true
  end

  -- Lets a row count for an account, and tells what that does; a row that counts later is measured as of then.
  local function measure_counting(told, part, acc, row, standing)
    local exposure, free, before, is_set = exposure_of(acc), limit_rows.free(acc), acc.limit, acc.limit_set
    local marks = (is_set and ROW_EFFECT_FLAG.BEFORE_SET or 0)
      + (acc.unlimited and ROW_EFFECT_FLAG.UNLIMITED_BEFORE or 0)
      + (row.unlimited and ROW_EFFECT_FLAG.UNLIMITED_AFTER or 0)
    limit_rows.replace_base(acc, row, part.now_s)
    settle_limit(acc)
    local free_after, fitting = limit_rows.free(acc), acc.pending > 0 and release_fitting(acc) or 0
    if free >= 0 and free_after < 0 then
      marks = marks + ROW_EFFECT_FLAG.OVER_LIMIT
    end
    if standing == ROW_STANDING.APPLICABLE and marks <= ROW_EFFECT_FLAG.BEFORE_SET and fitting == 0
      and add_up(told, acc.currency, is_set, is_set and before or 0, row.limit, free, free_after) then
      return
    end
    tell(told, row.number, row.account_id, standing, marks, before, row.limit, exposure, free, free_after, fitting,
      acc.currency)
  end

  -- Measures a row whose account is not here.
  local function measure_absent(told, part, blob, row, creates)
    local partition = limit_rows.elsewhere(part, row.account_id)
    if partition then
      limit_rows.leave_behind(told.moved, partition, string.sub(blob, row.begins, row.ends))
    elseif creates then
      measure_counting(told, part, new_account(part, row.account_id, row.currency), row, ROW_STANDING.NEW_ACCOUNT)
    else
      tell_idle(told, row.number, row.account_id, ROW_STANDING.UNKNOWN_ACCOUNT, '   ')
    end
  end

  local function measure_row(told, part, blob, row, creates)
    -- An account that is being moved is where it was, until it has arrived.
    local acc = load_account(part, row.account_id) or part.accounts[row.account_id]
    if not acc then
      measure_absent(told, part, blob, row, creates)
      return
    end
    local hindrance = limit_rows.hindrance(acc, row, part.now_s)
    if hindrance then
      tell_idle(told, row.number, row.account_id, STANDING_OF[hindrance], acc.currency)
    else
      measure_counting(told, part, acc, row, ROW_STANDING.APPLICABLE)
    end
  end

  -- Measures a row against a record without furniture: what `measure_row` does, without tables for the row and the
  -- account. Returns false when the record is another.
  local function measure_plain(told, part, record, number, row_flags, after, version, code, account_id)
    local flags, reserved, receivable, _, _, limit, _, _, version_before, _, _, currency = unpack_plain(part, record)
    if not flags then
      return false
    elseif code ~= currency then
      tell_idle(told, number, account_id, ROW_STANDING.CURRENCY_MISMATCH, currency)
      return true
    elseif version <= version_before then
      tell_idle(told, number, account_id, ROW_STANDING.SKIPPED, currency)
      return true
    end
    local exposure, before, free, free_after, marks = reserved + receivable, 0, 0, 0, 0
    if flags % (2 * ACCOUNT_FLAG.LIMIT_SET) >= ACCOUNT_FLAG.LIMIT_SET then
      before, free, marks = limit, limit - exposure, ROW_EFFECT_FLAG.BEFORE_SET
    end
    if flags % (2 * ACCOUNT_FLAG.UNLIMITED) >= ACCOUNT_FLAG.UNLIMITED then
      free, marks = 0, marks + ROW_EFFECT_FLAG.UNLIMITED_BEFORE
    end
    if row_flags % 2 >= LIMIT_ROW_FLAG.UNLIMITED then
      marks = marks + ROW_EFFECT_FLAG.UNLIMITED_AFTER
    else
      free_after = after - exposure
    end
    if free_after < 0 and free >= 0 then
      marks = marks + ROW_EFFECT_FLAG.OVER_LIMIT
    end
    if marks > ROW_EFFECT_FLAG.BEFORE_SET
      or not add_up(told, currency, marks ~= 0, before, after, free, free_after) then
      tell(told, number, account_id, ROW_STANDING.APPLICABLE, marks, before, after, exposure, free, free_after, 0,
        currency)
    end
    return true
  end

  -- Returns what is told of rows, nothing yet. Four arguments from a place on bound what is told in sums: the largest
  -- raise and cut, in minor units; the share of a limit, in basis points, and the factor that a change stays below
  -- (0: whatever the factor).
  function limit_effects.begin(args, from)
    local factor = tonumber(args[from + 3])
    return {
      raise_over = tonumber(args[from]), cut_over = tonumber(args[from + 1]), cut_bps = tonumber(args[from + 2]),
      raise_factor = factor > 0 and factor or math.huge, count = 0, effects = {}, account_ids = {}, sums = {},
      packed_sums = {}, moved = {},
    }
  end

  -- Measures the rows of a chunk against the records of their accounts, as they come from `limit_rows`.
  function limit_effects.add(told, part, blob, records, creates)
    local at, size, index = 1, #blob, 0
    while at <= size do
      local number, flags, limit, version, _, _, _, currency, account_id, _, _, after
        = struct.unpack(LAYOUT.LIMIT_ROW, blob, at)
      index = index + 1
      local record = records[index]
      if not (record and #record > SIZE.MOVED_STUB
          and measure_plain(told, part, record, number, flags, limit, version, currency, account_id)) then
        measure_row(told, part, blob, limit_rows.read(blob, at), creates)
      end
      at = after
    end
  end

  -- Returns what is told, as a row of strings: ROW_EFFECTs, their account ids each with a zero byte, ROW_SUMSs, then
  -- partition and LIMIT_ROWs in turn of rows whose accounts live elsewhere.
  function limit_effects.answer(told)
    for currency, sums in pairs(told.sums) do
      tell_sums(told, currency, sums)
    end
    local answer = { table.concat(told.effects), table.concat(told.account_ids), table.concat(told.packed_sums) }
    for partition, items in pairs(told.moved) do
      answer[#answer + 1] = text_of(partition)
      answer[#answer + 1] = table.concat(items)
    end
    return answer
  end
end
