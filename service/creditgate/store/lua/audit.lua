-- creditgate_audit: a step of verifying an account: its sums, and some of what they sum up. Reads only.
-- KEYS: the partition. ARGV: account id; cursors of its reservations and of its ledger ('' when their end was reached);
-- the journal's id up to which the caller has followed ('' at the beginning); the second up to which the caller has
-- seen the due sums ('' at the beginning); how many records to scan; how many due sums to read. Answers { AUDIT_SUMS,
-- now in seconds, oldest and latest id of the journal, next cursors, { order id, ORDER, … },
-- { field, LEDGER_ENTRY or AMEND_MARKER, … }, { `second:sum`, second, … } once both cursors have reached the end,
-- { journal id, effects, … } }.

local AUDIT_ENTRIES_MAX = 16

-- Returns the next cursor ('' at the end) and the records of a step.
local function scan_step(hash_key, cursor, count)
  if cursor == '' then
    return '', {}
  end
  local step = redis.call('HSCAN', hash_key, cursor, 'COUNT', count)
  return step[1] == '0' and '' or step[1], step[2]
end

-- Returns the id of the entry that XRANGE or XREVRANGE has found, or '0-0' for an empty journal.
local function journal_id(found)
  return found[1] and found[1][1] or '0-0'
end

local function journal_after(part, id)
  local flat = {}
  if id ~= '' then
    local entries = redis.call('XRANGE', key.journal(part), '(' .. id, '+', 'COUNT', text_of(AUDIT_ENTRIES_MAX))
    for index = 1, #entries do
      flat[#flat + 1] = entries[index][1]
      flat[#flat + 1] = entries[index][2][2]
    end
  end
  return flat
end

-- Returns due sums behind a second, all of the last second among them. What has fallen due is among them only when the
-- account has overlooked it.
local function due_after(acc, second, count)
  if second == '' or acc.lapsed and tonumber(second) < acc.part.now_s then
    second = acc.lapsed and text_of(acc.part.now_s) or '-1'
  end
  local due = redis.call('ZRANGEBYSCORE', acc.due_key, '(' .. second, '+inf', 'WITHSCORES', 'LIMIT', '0', count)
  if #due < 2 * tonumber(count) then
    return due
  end
  local last = due[#due]
  while due[#due] == last do
    due[#due], due[#due - 1] = nil, nil
  end
  local rest = redis.call('ZRANGEBYSCORE', acc.due_key, last, last, 'WITHSCORES')
  for index = 1, #rest do
    due[#due + 1] = rest[index]
  end
  return due
end

local function audit(keys, args)
  local part = open_partitions(keys)[1]
  local acc = load_account(part, args[1])
  if not acc then
    return absent(part, args[1])
  end
  local sums = struct.pack(LAYOUT.AUDIT_SUMS, acc.reserved, acc.receivable, acc.secured_receivable, acc.pending,
    acc.next_due)
  local next_order, orders = scan_step(key.orders(part, acc.id), args[2], args[6])
  local next_field, entries = scan_step(key.ledger(part, acc.id), args[3], args[6])
  local scanned = next_order == '' and next_field == ''
  local oldest = journal_id(redis.call('XRANGE', key.journal(part), '-', '+', 'COUNT', '1'))
  local latest = journal_id(redis.call('XREVRANGE', key.journal(part), '+', '-', 'COUNT', '1'))
  return {
    sums, part.now_s, oldest, latest, next_order, next_field, orders, entries,
    scanned and due_after(acc, args[5], args[7]) or {}, journal_after(part, args[4]),
  }
end

functions[#functions + 1] = { name = 'creditgate_audit', callback = audit, flags = { 'no-writes' } }
