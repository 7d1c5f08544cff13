-- The receivable ledger of an account: one entry for each document and each payment. An entry is the marker that makes
-- its operation repeatable, and says by how much the receivable changed.

-- Returns the entry { record } of a field (`d:` document id or `p:` payment id), or false if there is none.
local function load_ledger_entry(acc, field)
  acc.ledger = acc.ledger or {}
  local entry = acc.ledger[field]
  if entry == nil then
    local record = redis.call('HGET', key.ledger(acc.part, acc.id), field)
    entry = record and { record = record } or false
    acc.ledger[field] = entry
  end
  return entry
end

local function store_ledger_entry(acc, field, kind, flags, amount, receivable_change, over_committed, order_id)
  acc.ledger[field] = {
    changed = true,
    record = struct.pack(LAYOUT.LEDGER_ENTRY, kind, flags, amount, receivable_change, over_committed, acc.part.now_s,
      order_id),
  }
end
