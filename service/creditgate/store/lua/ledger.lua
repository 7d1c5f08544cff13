-- The receivable ledger of an account: a hash of entries, whose changes add up to what the account owes. An entry is
-- also the marker that makes its operation repeatable. Fields:
--   d:DOCUMENT       a commit, an invoice, a credit note or an open item: one namespace for all documents
--   p:PAYMENT        a payment
--   b                the opening balance: everything older than it has to be kept, in one sum
--   a:ORDER|REQUEST  the marker of an amend (LAYOUT.AMEND_MARKER), which changes no receivable

local OPENING_BALANCE = 'b'

-- Returns the entry { record } of a field, or false if there is none.
local function load_ledger_entry(acc, field)
  acc.ledger = acc.ledger or {}
  local entry = acc.ledger[field]
  if entry == nil then
    local record = redis.call('HGET', key.ledger(acc.part, acc.id), field)
    entry = record and { record = record } or false
    acc.ledger[field] = entry
  end
  return entry and not entry.removed and entry
end

-- Takes over an entry that `flush` writes.
local function put_ledger_record(acc, field, record)
  acc.ledger = acc.ledger or {}
  acc.ledger[field] = { changed = true, record = record }
  return record
end

local function pack_ledger_entry(acc, kind, flags, amount, receivable_change, secured_change, over_committed, order_id)
  return struct.pack(LAYOUT.LEDGER_ENTRY, kind, flags, amount, receivable_change, over_committed, acc.part.now_s,
    secured_change, order_id)
end

-- Journals what became of a field of the ledger, or of an order (`o:` order id).
local function journal_entry(acc, effect_kind, field, record)
  journal_effect(acc.part, struct.pack(LAYOUT.ENTRY_EFFECT, EFFECT_HEAD.ENTRY + #acc.id + #field + #record, effect_kind,
    acc.part.now_ms, acc.reserved, acc.receivable, acc.secured_receivable, acc.pending, acc.id, field), record)
end

-- Returns by how much the receivable changes when so much is invoiced (above 0) or settled (below 0) without an order.
-- What security covers is settled first: it takes no credit, so that settling it must not raise headroom.
local function receivable_change_of(acc, amount)
  return amount > 0 and amount or amount + math.min(acc.secured_receivable, -amount)
end

-- Records a document or a payment of an amount: above 0 it is owed, below 0 settled. Answers as its operation does;
-- `differs` is the error of a field that stands with another amount.
local function record_entry(part, account_id, currency, field, kind, amount, differs)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  if currency ~= acc.currency then
    return failure(ERROR.CURRENCY_MISMATCH, 0, acc.currency)
  end
  local entry = load_ledger_entry(acc, field)
  if entry then
    local kind_before, _, first_amount, change_before, _, _, secured_before
      = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
    -- A commit's own amount may be in another currency than the account's.
    if kind_before == LEDGER_KIND.COMMIT then
      first_amount = change_before + secured_before
    end
    if first_amount ~= amount then
      return failure(differs, math.abs(first_amount), acc.currency)
    end
    return account_answer(acc, ANSWER_FLAG.REPLAYED)
  end
  local change = receivable_change_of(acc, amount)
  local receivable = acc.receivable + change
  if receivable < -AMOUNT_MAX or acc.reserved + math.max(0, receivable) + acc.pending > AMOUNT_MAX then
    local sum = amount > 0 and exposure_of(acc) + acc.pending or acc.receivable
    return failure(ERROR.SUM_OUT_OF_RANGE, sum, acc.currency)
  elseif not group_counts(acc, 0, receivable) then
    return group_out_of_range(acc.group_id, acc.currency)
  end
  set_receivable(acc, receivable)
  acc.secured_receivable = acc.secured_receivable + (amount - change)
  acc.changed = true
  local record = put_ledger_record(acc, field, pack_ledger_entry(acc, kind, 0, amount, change, amount - change, 0, ''))
  retire_later(acc.part, acc.part.now_s, acc.id, field)
  if kind == LEDGER_KIND.PAYMENT then
    reduce_overdue(acc, -amount)
  end
  journal_entry(acc, EFFECT.RECORDED, field, record)
  return account_answer(acc, 0)
end

-- Adds an entry to the opening balance; returns whether the sums allow it.
local function fold_entry(acc, field, entry)
  local _, _, _, change, _, _, secured_change = struct.unpack(LAYOUT.LEDGER_ENTRY, entry.record)
  local opening = load_ledger_entry(acc, OPENING_BALANCE)
  if opening then
    local _, _, _, opening_change, _, _, opening_secured = struct.unpack(LAYOUT.LEDGER_ENTRY, opening.record)
    change, secured_change = change + opening_change, secured_change + opening_secured
  end
  if math.max(math.abs(change), math.abs(secured_change)) > AMOUNT_MAX then
    return false
  end
  local record = put_ledger_record(acc, OPENING_BALANCE,
    pack_ledger_entry(acc, LEDGER_KIND.OPENING_BALANCE, 0, 0, change, secured_change, 0, ''))
  acc.ledger[field] = { removed = true }
  journal_entry(acc, EFFECT.FOLDED, field, record)
  return true
end
