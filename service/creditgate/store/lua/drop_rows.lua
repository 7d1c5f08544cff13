-- creditgate_drop_rows: drops what a partition has of a limit batch's rows. KEYS: the partition. ARGV: batch id, 1 for
-- what was only needed to receive them; a mark stays then, so that a sender who is late stores no row that was left
-- out. Answers how many keys that were.

local function drop_rows(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local batch_id = args[1]
  -- first write
  if args[2] == '1' then
    local dropped = redis.call('UNLINK', key.staged_accounts(part, batch_id))
    redis.call('HSET', key.staged_accounts(part, batch_id), limit_rows.received, '1')
    return dropped
  end
  return redis.call('UNLINK', key.staged_accounts(part, batch_id), key.staged_rows(part, batch_id),
    key.undo_rows(part, batch_id), key.rows_applied(part, batch_id), key.rows_restored(part, batch_id))
end

functions[#functions + 1] = { name = 'creditgate_drop_rows', callback = drop_rows, flags = { 'allow-oom' } }
