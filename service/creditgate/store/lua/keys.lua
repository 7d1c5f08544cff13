-- Spells every key of a partition; service/creditgate/store/keys.py is its counterpart in Python, and a test holds the
-- two together. A partition's declared key `cg:{N}` is the prefix of all its keys, so that they share one hash slot.
-- `|` parts an account from an order: neither may contain it.

local key = {}

-- String: the account's sums and settings, packed.
function key.account(part, account_id)
  return part.prefix .. ':a:' .. account_id
end

-- Hash: order id -> packed reservation.
function key.orders(part, account_id)
  return part.prefix .. ':o:' .. account_id
end

-- Sorted set: `second:sum` of exposure falling due, scored by second.
function key.due(part, account_id)
  return part.prefix .. ':d:' .. account_id
end

-- Hash: the receivable ledger (lua/ledger.lua).
function key.ledger(part, account_id)
  return part.prefix .. ':l:' .. account_id
end

-- Hash: texts of an account that no decision reads.
function key.texts(part, account_id)
  return part.prefix .. ':t:' .. account_id
end

-- Hash: account id -> display name; the partition's list of accounts.
function key.names(part)
  return part.prefix .. ':n'
end

-- Sorted set: seconds at which holds of this partition end.
function key.sweep_seconds(part)
  return part.prefix .. ':q'
end

-- List: `account|order` of the holds that end at a second, given as text.
function key.sweep_list(part, second)
  return part.prefix .. ':q:' .. second
end

-- Sorted set: steps of time in which something of this partition ended, of RETENTION_STEP_S each.
function key.retention_steps(part)
  return part.prefix .. ':r'
end

-- List: `account|field` of what ended within a step, given as text, and is kept for the retention.
function key.retention_list(part, step)
  return part.prefix .. ':r:' .. step
end

-- Sorted set: orders that wait for a person, or whose amend does, by when they began to, in milliseconds.
function key.waiting(part, account_id)
  return part.prefix .. ':w:' .. account_id
end

-- Sorted set: accounts of which something waits for a person, by the second at which that is to be judged anew, +inf
-- for none; and groups whose limit has risen (lua/judge_waiting.lua).
function key.waiting_accounts(part)
  return part.prefix .. ':wa'
end

-- String: what was approved for an account, by age (lua/velocity.lua).
function key.velocity(part, account_id)
  return part.prefix .. ':v:' .. account_id
end

-- String: a credit group's limit and sums, packed.
function key.group(part, group_id)
  return part.prefix .. ':g:' .. group_id
end

-- Sorted set: `second:currency:sum` of a group's exposure falling due, scored by second.
function key.group_due(part, group_id)
  return part.prefix .. ':h:' .. group_id
end

-- Hash: group id -> display name; the partition's list of groups.
function key.group_names(part)
  return part.prefix .. ':gn'
end

-- Hash: FROM>TO -> packed exchange rate.
function key.rates(part)
  return part.prefix .. ':x'
end

-- Hash: account id -> where to and since when, of accounts that are being moved away.
function key.moves(part)
  return part.prefix .. ':m'
end

-- Sorted set: ids of limit batches by when they were created, in milliseconds; only in the first partition.
function key.limit_batches(part)
  return part.prefix .. ':b'
end

-- Hash: a limit batch's `record`, with `revision`, `state`, `create_ms`, `update_ms` and how many `errors` are
-- kept; only in the first partition.
function key.limit_batch(part, batch_id)
  return part.prefix .. ':b:' .. batch_id
end

-- Hash: row -> what was wrong with it on receipt, of a limit batch; only in the first partition.
function key.limit_batch_errors(part, batch_id)
  return part.prefix .. ':be:' .. batch_id
end

-- Hash: row -> what its account has against it, of a limit batch as it was last measured; only in the first partition.
function key.limit_batch_measured(part, batch_id)
  return part.prefix .. ':bm:' .. batch_id
end

-- Hash: limit batch -> its state; only in the first partition.
function key.batch_states(part)
  return part.prefix .. ':bs'
end

-- Hash: limit batches whose records are gone and whose rows are still to be dropped; only in the first partition.
function key.gone_batches(part)
  return part.prefix .. ':bg'
end

-- Hash: chunk -> packed rows of a limit batch that are not in force (lua/limit_rows.lua).
function key.staged_rows(part, batch_id)
  return part.prefix .. ':s:' .. batch_id
end

-- Hash: account id -> row of a limit batch, while it is received; then a mark that it has been.
function key.staged_accounts(part, batch_id)
  return part.prefix .. ':i:' .. batch_id
end

-- Hash: chunk -> what undoes it, of a limit batch.
function key.undo_rows(part, batch_id)
  return part.prefix .. ':u:' .. batch_id
end

-- Hash: chunk -> what has become of it, of a limit batch; a chunk that is in it is done.
function key.rows_applied(part, batch_id)
  return part.prefix .. ':f:' .. batch_id
end

-- Hash: chunk -> what a rollback has made of it, of a limit batch.
function key.rows_restored(part, batch_id)
  return part.prefix .. ':z:' .. batch_id
end

-- Hash: server -> when it last had orders, in milliseconds; only in the first partition.
function key.servers_with_orders(part)
  return part.prefix .. ':k'
end

-- Stream: the partition's journal.
function key.journal(part)
  return part.prefix .. ':j'
end

-- String: the latest second this partition has seen.
function key.clock(part)
  return part.prefix .. ':c'
end
