-- creditgate_audit_group, creditgate_repair_group: compares a group's sums with those of its accounts, all at one
-- instant, and with the second of the two puts them right. KEYS: the partition. ARGV: group id, then the ids of all its
-- accounts. Answers { }, when these are not all of them, or { name of a sum, kept, recomputed, … } for each sum that
-- differs.

-- Returns the sums of the accounts by currency, what falls due by `second:currency`, and how many accounts there are.
local function sums_of_members(part, group_id, args)
  local by_currency, due, count = {}, {}, 0
  for index = 2, #args do
    local acc = load_account(part, args[index])
    if acc and acc.group_id == group_id then
      count = count + 1
      local sums = by_currency[acc.currency] or { reserved = 0, receivable = 0, owed = 0 }
      by_currency[acc.currency] = sums
      sums.reserved = sums.reserved + acc.reserved
      sums.receivable = sums.receivable + acc.receivable
      sums.owed = sums.owed + math.max(0, acc.receivable)
      each_due(part, acc, function(second, tag, sum)
        if tag == '' then
          local name = text_of(second) .. ':' .. acc.currency
          due[name] = (due[name] or 0) + sum
        end
      end)
    end
  end
  return by_currency, due, count
end

-- Returns what the group keeps as falling due, by `second:currency`.
local function kept_due_of(part, group)
  local due = {}
  each_due(part, group, function(second, currency, sum)
    local name = text_of(second) .. ':' .. currency
    due[name] = (due[name] or 0) + sum
  end)
  return due
end

local function add_difference(found, name, kept, recomputed)
  if kept ~= recomputed then
    found[#found + 1] = name
    found[#found + 1] = text_of(kept)
    found[#found + 1] = text_of(recomputed)
  end
end

-- Calls `visit(name, kept, recomputed)` for every name that stands in one of two tables, in order.
local function compare(kept, recomputed, visit)
  local names = {}
  for name in pairs(kept) do
    names[#names + 1] = name
  end
  for name in pairs(recomputed) do
    if not kept[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for index = 1, #names do
    visit(names[index], kept[names[index]], recomputed[names[index]])
  end
end

-- Returns the sums that the group keeps by currency.
local function kept_sums_of(group)
  local by_currency, sums = {}, group.sums
  for at = 1, #sums, GROUP_SUMS_STEP do
    by_currency[sums[at]] = {
      reserved = sums[at + GROUP_SUM.RESERVED], receivable = sums[at + GROUP_SUM.RECEIVABLE],
      owed = sums[at + GROUP_SUM.OWED],
    }
  end
  return by_currency
end

local NOTHING = { reserved = 0, receivable = 0, owed = 0 }

-- Returns what differs, and whether anything does; with `repairs`, the group's sums are put right in the call's tables.
local function audit_group(part, args, repairs)
  local group = load_group(part, args[1])
  local recomputed, recomputed_due, count = sums_of_members(part, args[1], args)
  if not group or count ~= group.account_count then
    return {}
  end
  local found = { 'accounts', text_of(count), text_of(count) }
  compare(kept_sums_of(group), recomputed, function(currency, kept, should)
    kept, should = kept or NOTHING, should or NOTHING
    for _, name in ipairs({ 'reserved', 'receivable', 'owed' }) do
      add_difference(found, name .. ':' .. currency, kept[name], should[name])
    end
    if repairs then
      local sums, at = group_sums(group, currency)
      sums[at + GROUP_SUM.RESERVED], sums[at + GROUP_SUM.RECEIVABLE], sums[at + GROUP_SUM.OWED]
        = should.reserved, should.receivable, should.owed
    end
  end)
  if repairs then
    unsorted_due.sort(part, group, unsorted_due.last_sorted(part, group.id))
  end
  compare(kept_due_of(part, group), recomputed_due, function(name, kept, should)
    add_difference(found, 'due@' .. name, kept or 0, should or 0)
    if repairs then
      local second, currency = string.match(name, '^(%d+):(%u+)$')
      add_due(part, group, tonumber(second), currency, (should or 0) - (kept or 0))
    end
  end)
  return found, #found > 3
end

functions[#functions + 1] = {
  name = 'creditgate_audit_group', flags = { 'no-writes' },
  callback = function(keys, args)
    return (audit_group(open_partitions(keys)[1], args, false))
  end,
}
functions[#functions + 1] = {
  name = 'creditgate_repair_group', flags = { 'allow-oom' },
  callback = function(keys, args)
    local part = open_partitions(keys, nil, true)[1]
    local found, differs = audit_group(part, args, true)
    if differs then
      local group = load_group(part, args[1])
      group.changed, part.changed = true, true
      local answer = group_answer(part, group, false)
      journal_effect(part, struct.pack(LAYOUT.ENTRY_EFFECT, EFFECT_HEAD.ENTRY + #group.id + #answer,
        EFFECT.GROUP_CHANGED, part.now_ms, 0, 0, 0, 0, '', group.id), answer)
      -- first write
      flush({ part })
    end
    return found
  end,
}
