-- creditgate_audit: a step of verifying an account: its sums, and some of what they sum up. Reads only.
-- KEYS: the partition. ARGV: account id; cursors of its reservations and of its ledger ('' when their end was reached);
-- the journal's id up to which the caller has followed ('' at the beginning); 1 when the due sums are wanted; how many
-- records to scan. Answers { AUDIT_SUMS, now in seconds, oldest and latest id of the journal,
-- next cursors, { order id, ORDER, … }, { field, LEDGER_ENTRY or AMEND_MARKER, … }, { `second:sum`, … },
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

-- Returns the id of the first of some entries of the journal, or '0-0' when there is none.
local function first_id(entries)
  return entries[1] and entries[1][1] or '0-0'
end

local function journal_after(part, id)
  local flat = {}
  if id ~= '' then
    local entries = redis.call('XRANGE', key.journal(part), '(' .. id, '+', 'COUNT', AUDIT_ENTRIES_MAX)
    for index = 1, #entries do
      flat[#flat + 1] = entries[index][1]
      flat[#flat + 1] = entries[index][2][2]
    end
  end
  return flat
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
  local due = {}
  if args[5] == '1' then
    -- Where a wrong `next_due` kept what has fallen due from being taken off, that is a difference too.
    local from = acc.lapsed and '(' .. text_of(part.now_s) or '-inf'
    due = redis.call('ZRANGEBYSCORE', key.due(part, acc.id), from, '+inf')
  end
  local oldest = first_id(redis.call('XRANGE', key.journal(part), '-', '+', 'COUNT', '1'))
  local latest = first_id(redis.call('XREVRANGE', key.journal(part), '+', '-', 'COUNT', '1'))
  return {
    sums, part.now_s, oldest, latest,
    next_order, next_field, orders, entries, due, journal_after(part, args[4]),
  }
end

functions[#functions + 1] = { name = 'creditgate_audit', callback = audit, flags = { 'no-writes' } }
