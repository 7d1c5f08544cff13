-- Credit groups as the operations of a call see them: read once a call, changed in memory, written once by `flush`. A
-- group keeps sums per currency, which equal those of its accounts, and converts them when an order is decided.

local function pack_group(group)
  local packed = struct.pack(LAYOUT.GROUP, group.unlimited and 1 or 0, #group.currencies, group.limit, group.next_due,
    group.account_count, group.create_ms, group.currency)
  for index = 1, #group.currencies do
    local sums = group.currencies[index]
    packed = packed .. struct.pack(LAYOUT.GROUP_SUMS, sums.currency, sums.reserved, sums.receivable, sums.owed)
  end
  return packed
end

local function unpack_group(part, group_id, group_key, record)
  local unlimited, currency_count, limit, next_due, account_count, create_ms, currency
    = struct.unpack(LAYOUT.GROUP, record)
  local group = {
    id = group_id, key = group_key, due_key = key.group_due(part, group_id), due = {}, lapsed = false, changed = false,
    unlimited = unlimited == 1, limit = limit, next_due = next_due, account_count = account_count,
    create_ms = create_ms, currency = currency, currencies = {}, by_currency = {},
  }
  local at = SIZE.GROUP + 1
  for index = 1, currency_count do
    local of, reserved, receivable, owed = struct.unpack(LAYOUT.GROUP_SUMS, record, at)
    local sums = { currency = of, reserved = reserved, receivable = receivable, owed = owed }
    group.currencies[index] = sums
    group.by_currency[of] = sums
    at = at + SIZE.GROUP_SUMS
  end
  return group
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
        local sums = group.by_currency[currency]
        sums.reserved = sums.reserved - sum
      end)
    end
    part.groups[group_id] = group
  end
  return group
end

-- Returns the group's sums in a currency; the currency joins the group when it is new.
local function group_sums(group, currency)
  local sums = group.by_currency[currency]
  if not sums then
    sums = { currency = currency, reserved = 0, receivable = 0, owed = 0 }
    group.currencies[#group.currencies + 1] = sums
    group.by_currency[currency] = sums
  end
  return sums
end

-- Lets the sums of a group follow those of one of its accounts.
local function group_follows(acc, reserved_change, receivable_before)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if group then
    local sums = group_sums(group, acc.currency)
    sums.reserved = sums.reserved + reserved_change
    if acc.receivable ~= receivable_before then
      sums.receivable = sums.receivable + acc.receivable - receivable_before
      sums.owed = sums.owed + math.max(0, acc.receivable) - math.max(0, receivable_before)
    end
    group.changed = true
  end
end

-- Returns whether the sums of an account's group can be counted when so much more is reserved and so much is owed.
local function group_counts(acc, reserved_change, receivable)
  local group = acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  local sums = group and group.by_currency[acc.currency]
  if not sums then
    return true
  end
  if receivable == acc.receivable then
    return sums.reserved + reserved_change <= AMOUNT_MAX
  end
  local owed_change = math.max(0, receivable) - math.max(0, acc.receivable)
  return math.max(sums.reserved + reserved_change, sums.owed + owed_change,
    math.abs(sums.receivable + (receivable - acc.receivable))) <= AMOUNT_MAX
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
  local total = 0
  for index = 1, #group.currencies do
    local sums = group.currencies[index]
    local amount = sums.reserved + (credit_counts and sums.receivable or sums.owed)
    if sums.currency == currency then
      amount, more = amount + more, 0
    end
    if sums.currency ~= group.currency then
      amount = in_group_currency(part, group, sums.currency, amount)
      if not amount then
        return nil, sums.currency
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
    write_string(part, group.key, pack_group(group))
    write_due(part, group)
  end
end

-- Returns the answer of an operation whose result is the group.
local function group_answer(part, group, created)
  local name = part.group_names[group.id] or redis.call('HGET', key.group_names(part), group.id) or ''
  local answer = struct.pack(LAYOUT.GROUP_ANSWER, 0, created and 1 or 0, group.unlimited and 1 or 0, #group.currencies,
    group.limit, group_exposure(part, group, group.currency, 0) or NO_EXPOSURE, group.account_count, group.create_ms,
    group.currency, group.id, name)
  for index = 1, #group.currencies do
    local sums = group.currencies[index]
    answer = answer .. struct.pack(LAYOUT.GROUP_SUMS, sums.currency, sums.reserved, sums.receivable, sums.owed)
  end
  return answer
end
