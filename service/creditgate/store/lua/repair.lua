-- creditgate_repair: takes differences off the sums of an account. Differences stay the same while orders run, since an
-- operation changes a sum and what it sums up alike; so nothing has to stand still between finding and repairing them.
-- What has fallen due is taken off whatever `next_due` says: it may be one of the sums that are wrong.
-- KEYS: the partition. ARGV: account id; how much to take off reserved, receivable, secured receivable and pending;
-- then, for each due sum that differs, its second, its tag and how much to take off. Answers 1, or 0 without the
-- account.

local function repair(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local acc = load_account(part, args[1])
  if not acc then
    return 0
  end
  if not acc.lapsed then
    lapse_account(part, acc)
  end
  acc.reserved = acc.reserved - tonumber(args[2])
  acc.receivable = acc.receivable - tonumber(args[3])
  acc.secured_receivable = acc.secured_receivable - tonumber(args[4])
  acc.pending = acc.pending - tonumber(args[5])
  for index = 6, #args, 3 do
    local second, tag, surplus = tonumber(args[index]), args[index + 1], tonumber(args[index + 2])
    -- What has fallen due was taken off its sum with what was too much of it.
    if second > part.now_s then
      add_due(part, acc, second, tag, -surplus)
    elseif tag == DUE_PENDING then
      acc.pending = acc.pending + surplus
    else
      acc.reserved = acc.reserved + surplus
    end
  end
  part.changed = true
  account_changed(acc, EFFECT.REPAIRED, '', '', 0)
  flush({ part })
  return 1
end

functions[#functions + 1] = { name = 'creditgate_repair', callback = repair, flags = { 'allow-oom' } }
