-- Credit groups as the operations of a call see them: read once a call, changed in memory, written once by `flush`. A
-- group keeps sums per currency, which equal those of its accounts, and converts them when an order is decided.

-- Returns how the accounts of which something waits name a group whose limit has risen, of whose accounts they are to
-- be searched from a cursor on. No account's id contains `|`.
local function raised_group(group_id, cursor)
  return '|' .. group_id .. '|' .. cursor
end

-- A group's sums stand in one row, four places for each currency: its code, and the sums (GROUP_SUM). A group has few
-- currencies, and a row is read and written by one command of `struct`, where tables would cost a decision much more.
local function pack_sums(group)
  local sums = group.sums
  return struct.pack(format_of('<', LAYOUT.GROUP_SUMS, #sums / GROUP_SUMS_STEP), unpack(sums))
end

local function pack_group(group)
  local sums = group.sums
  local count = #sums / GROUP_SUMS_STEP
  return struct.pack(format_of(LAYOUT.GROUP, LAYOUT.GROUP_SUMS, count),
    GROUP_FLAG.DUE + (group.unlimited and GROUP_FLAG.UNLIMITED or 0), count, group.limit, group.next_due,
    group.account_count, group.create_ms, group.sorted_until, group.currency, unpack(sums)) .. group.unsorted
end

-- Returns the fields of a group's record, and where its sums begin.
local function read_group(part, group_id, record)
  if string.byte(record) >= GROUP_FLAG.DUE then
    return struct.unpack(LAYOUT.GROUP, record)
  end
  local flags, currency_count, limit, next_due, account_count, create_ms, currency, at
    = struct.unpack(LAYOUT.SORTED_GROUP, record)
  return flags, currency_count, limit, next_due, account_count, create_ms, unsorted_due.last_sorted(part, group_id),
    currency, at
end

local function unpack_group(part, group_id, group_key, record)
  local flags, currency_count, limit, next_due, account_count, create_ms, sorted_until, currency, at
    = read_group(part, group_id, record)
  local sums = { struct.unpack(format_of('<', LAYOUT.GROUP_SUMS, currency_count), record, at) }
  local unsorted = string.sub(record, sums[#sums])
  sums[#sums] = nil
  return {
    id = group_id, key = group_key, due = false, lapsed = false, changed = false,
    unlimited = flags % 2 >= GROUP_FLAG.UNLIMITED, limit = limit, next_due = next_due, account_count = account_count,
    create_ms = create_ms, currency = currency, sums = sums, sorted_until = sorted_until, unsorted = unsorted,
  }
end

local function new_group(part, group_id, currency)
  return {
    id = group_id, key = key.group(part, group_id), due = false, lapsed = false, changed = true, unlimited = false,
    limit = 0, next_due = 0, account_count = 0, create_ms = part.now_ms, currency = currency, sums = {},
    sorted_until = 0, unsorted = '',
  }
end

-- Returns a group's sums, and where those of a currency begin in them, or nil where it has none.
local function find_sums(group, currency)
  local sums = group.sums
  for at = 1, #sums, GROUP_SUMS_STEP do
    if sums[at] == currency then
      return sums, at
    end
  end
  return sums, nil
end

-- Returns the same; the currency joins the group when it is new.
local function group_sums(group, currency)
  local sums, at = find_sums(group, currency)
  if not at then
    at = #sums + 1
    sums[at], sums[at + GROUP_SUM.RESERVED], sums[at + GROUP_SUM.RECEIVABLE], sums[at + GROUP_SUM.OWED]
      = currency, 0, 0, 0
  end
  return sums, at
end

-- Returns the group with what has fallen due already taken off, or false if there is none.
local function load_group(part, group_id)
  local group = part.groups[group_id]
  if group == nil then
    local group_key = key.group(part, group_id)
    local record = redis.call('GET', group_key)
    group = record and unpack_group(part, group_id, group_key, record)
    if group and group.next_due ~= 0 and group.next_due <= part.now_s then
      lapse_due(part, group, function(currency, sum)
        local sums, at = group_sums(group, currency)
        sums[at + GROUP_SUM.RESERVED] = sums[at + GROUP_SUM.RESERVED] - sum
      end)
    end
    part.groups[group_id] = group
  end
  return group
end

-- Lets the group of an account reserve as much more as the account does, until a second.
local function group_reserves(acc, second, amount)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if group then
    local sums, at = group_sums(group, acc.currency)
    sums[at + GROUP_SUM.RESERVED] = sums[at + GROUP_SUM.RESERVED] + amount
    add_due(acc.part, group, second, acc.currency, amount)
    group.changed = true
  end
end

-- Lets the group of an account owe as much more as the account does.
local function group_owes(acc, receivable_before)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if group then
    local sums, at = group_sums(group, acc.currency)
    sums[at + GROUP_SUM.RECEIVABLE] = sums[at + GROUP_SUM.RECEIVABLE] + acc.receivable - receivable_before
    sums[at + GROUP_SUM.OWED] = sums[at + GROUP_SUM.OWED] + math.max(0, acc.receivable) - math.max(0, receivable_before)
    group.changed = true
  end
end

-- Returns whether the sums of an account's group can be counted when so much more is reserved and so much is owed.
local function group_counts(acc, reserved_change, receivable)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if not group then
    return true
  end
  local sums, at = find_sums(group, acc.currency)
  if not at then
    return true
  end
  if receivable == acc.receivable then
    return sums[at + GROUP_SUM.RESERVED] + reserved_change <= AMOUNT_MAX
  end
  local owed_change = math.max(0, receivable) - math.max(0, acc.receivable)
  return math.max(sums[at + GROUP_SUM.RESERVED] + reserved_change, sums[at + GROUP_SUM.OWED] + owed_change,
    math.abs(sums[at + GROUP_SUM.RECEIVABLE] + (receivable - acc.receivable))) <= AMOUNT_MAX
end

-- Returns what a sum is worth in the group's currency, rounded up, or nil when there is no rate. A credit balance in
-- another currency counts as 0.
local function in_group_currency(part, group, currency, amount)
  local rate = load_rate(part, currency, group.currency)
  return rate ~= false and convert(rate and math.max(0, amount) or amount, rate) or nil
end

-- Returns the exposure of a group in its currency when `more` of a currency is added; or nil and the currency for which
-- there is no rate, or which would leave the range.
local function group_exposure(part, group, currency, more)
  local credit_counts = part.policy and part.policy.credit_counts
  local owed_place = credit_counts and GROUP_SUM.RECEIVABLE or GROUP_SUM.OWED
  local sums, total = group.sums, 0
  for at = 1, #sums, GROUP_SUMS_STEP do
    local of, amount = sums[at], sums[at + GROUP_SUM.RESERVED] + sums[at + owed_place]
    if of == currency then
      amount, more = amount + more, 0
    end
    if of ~= group.currency and amount ~= 0 then
      amount = in_group_currency(part, group, of, amount)
      if not amount then
        return nil, of
      end
    end
    total = total + amount
  end
  if more == 0 and total <= AMOUNT_MAX then
    return total
  end
  local converted = in_group_currency(part, group, currency, more)
  if not converted or total + converted > AMOUNT_MAX then
    return nil, currency
  end
  return total + converted
end

local function write_group(part, group)
  if group.changed then
    write_due(part, group)
    write_string(part, group.key, pack_group(group))
  end
  if group.raised then
    redis.call('ZADD', key.waiting_accounts(part), text_of(part.now_s), raised_group(group.id, '0'))
  end
end

-- Returns the answer of an operation whose result is the group.
local function group_answer(part, group, created)
  local name = part.group_names[group.id] or redis.call('HGET', key.group_names(part), group.id) or ''
  return struct.pack(LAYOUT.GROUP_ANSWER, 0, created and 1 or 0, group.unlimited and 1 or 0,
    #group.sums / GROUP_SUMS_STEP, group.limit, group_exposure(part, group, group.currency, 0) or NO_EXPOSURE,
    group.account_count, group.create_ms, group.currency, group.id, name) .. pack_sums(group)
end
