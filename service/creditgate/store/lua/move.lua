-- Moving an account to the partition of its credit group: freeze it where it is, copy it, let it arrive, and leave a
-- stub behind. Each step is one function, may be repeated, and does nothing when the move has gone on without it; so
-- any server can finish what another one has begun. An epoch, counted up by each move, tells a move from later ones.
--
--   place   the home partition of a new account learns where it will live
--   freeze  nothing may change the account any more; it can still be read
--   read    a part of what the account has, as it is stored
--   write   the same, stored where it goes; invisible until it has arrived
--   arrive  the account lives here from now on, and joins its group; what else is put with that is put in the same step
--   cancel  what was copied goes, where the account can't join; then it is thawed where it was
--   leave   the account's group lets it go, and a stub stands in its place

local MOVE_KEYS = { o = key.orders, l = key.ledger, t = key.texts }

-- Returns the partition and the epoch of a stub, or nothing for another record or none.
local function stub_of(record)
  if record and is_stub(record) then
    local _, partition, epoch = struct.unpack(LAYOUT.MOVED_STUB, record)
    return partition, epoch
  end
end

local function pack_stub(partition, epoch)
  return struct.pack(LAYOUT.MOVED_STUB, ACCOUNT_FLAG.MOVED, partition, epoch)
end

-- Returns the account as it is stored, frozen or not.
local function load_moving(part, account_id)
  local acc = load_account(part, account_id)
  return acc or part.accounts[account_id] or false
end

-- creditgate_move_place: ARGV account id, partition, epoch. Writes a stub, unless the account itself is here or a stub
-- of a later move. Answers the partition and the epoch of the stub that is here now, or { -1 } when the account itself
-- is.
local function move_place(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local record = redis.call('GET', key.account(part, args[1]))
  local partition, epoch = stub_of(record)
  if record and not partition then
    return { -1 }
  end
  if not partition or tonumber(args[3]) > epoch then
    partition, epoch = tonumber(args[2]), tonumber(args[3])
    -- first write
    redis.call('SET', key.account(part, args[1]), pack_stub(partition, epoch))
  end
  return { partition, epoch }
end

-- creditgate_move_freeze: ARGV account id, partition, group id. Answers the epoch of the move, the partition and the
-- group that it goes to, which are others when another move had begun; or { -1 } when the account does not live here.
local function move_freeze(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local acc = load_moving(part, args[1])
  if not acc or acc.moving and acc.moving.arriving then
    return { -1 }
  end
  if acc.moving then
    local begun = redis.call('HGET', key.moves(part), args[1]) or ''
    local group_id = string.match(begun, '^%d+|%d+|(.*)$')
    return { acc.moving.epoch, acc.moving.partition, group_id or '' }
  end
  acc.moving = { partition = tonumber(args[2]), epoch = acc.epoch + 1, arriving = false }
  acc.furnished, acc.changed, part.changed = true, true, true
  journal_entry(acc, EFFECT.MOVED_AWAY, args[2], '')
  -- first write
  redis.call('HSET', key.moves(part), args[1], args[2] .. '|' .. text_of(part.now_s) .. '|' .. args[3])
  flush({ part })
  return { acc.moving.epoch, acc.moving.partition, args[3] }
end

-- creditgate_move_read: ARGV account id, epoch, which ('' for the account itself, c for the partition's clock, w for
-- what waits and since when, or o, l, t of MOVE_KEYS), cursor, count. Answers { next cursor ('0' at the end), what is
-- stored in turn }; for the account itself { '0', its record, its name, its velocity, its due sums }; or { '' } when it
-- is not frozen for this move any more.
local function move_read(keys, args)
  local part = open_partitions(keys)[1]
  local acc = load_moving(part, args[1])
  if not acc or not acc.moving or acc.moving.arriving or acc.moving.epoch ~= tonumber(args[2]) then
    return { '' }
  end
  if args[3] == 'c' then
    return { '0', { acc.id, text_of(part.now_s) } }
  elseif args[3] == 'w' then
    return redis.call('ZSCAN', key.waiting(part, acc.id), args[4], 'COUNT', args[5])
  elseif args[3] ~= '' then
    return redis.call('HSCAN', MOVE_KEYS[args[3]](part, acc.id), args[4], 'COUNT', args[5])
  end
  return { '0', {
    pack_account(acc), redis.call('HGET', key.names(part), acc.id) or '',
    redis.call('GET', key.velocity(part, acc.id)) or '',
    redis.call('ZRANGEBYSCORE', acc.due_key, '(' .. text_of(part.now_s), '+inf', 'WITHSCORES'),
  } }
end

-- Returns whether an account is arriving here by a move.
local function is_arriving(part, account_id, epoch)
  local acc = load_moving(part, account_id)
  return acc and acc.moving and acc.moving.arriving and acc.moving.epoch == epoch
end

-- creditgate_move_begin: ARGV account id, epoch, partition that it comes from, its record, name, velocity, then its due
-- sums and their seconds in turn. Prepares the place of an account that is moved here. Answers 1; 0 when it has
-- arrived; or -1 when this move was cancelled, and the account is to be thawed where it was.
local function move_begin(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local account_id, epoch = args[1], tonumber(args[2])
  local here = redis.call('GET', key.account(part, account_id))
  local _, stub_epoch = stub_of(here)
  local standing = here and not stub_epoch and load_moving(part, account_id)
  if stub_epoch == epoch then
    return -1
  elseif stub_epoch and stub_epoch > epoch
    or standing and (not standing.moving or not standing.moving.arriving or standing.moving.epoch > epoch) then
    return 0
  end
  part.accounts[account_id] = nil
  local acc = unpack_account(part, account_id, args[4])
  acc.moving = { partition = tonumber(args[3]), epoch = epoch, arriving = true }
  acc.epoch, acc.group_id, acc.furnished = epoch, '', true
  local record = pack_account(acc)
  -- first write
  redis.call('DEL', key.orders(part, account_id), key.ledger(part, account_id), key.texts(part, account_id),
    acc.due_key, key.velocity(part, account_id), key.waiting(part, account_id))
  redis.call('SET', key.account(part, account_id), record)
  redis.call('HSET', key.names(part), account_id, args[5])
  if args[6] ~= '' then
    redis.call('SET', key.velocity(part, account_id), args[6])
  end
  for index = 7, #args, 2 do
    redis.call('ZADD', acc.due_key, args[index + 1], args[index])
  end
  return 1
end

-- Lets the queues of this partition look at an order or an entry that has come here.
local function queue_arrived(part, account_id, which, field, record)
  if which == 'o' then
    local order = unpack_order(record)
    if is_open(order) then
      sweep_later(part, order.expire_s, account_id, field)
      if order.waiting or order.state == STATE.PENDING_REVIEW then
        mark_waiting(part.accounts[account_id], field, true)
      end
    else
      retire_later(part, order.update_s, account_id, 'o:' .. field)
    end
  elseif which == 'l' and field ~= OPENING_BALANCE then
    retire_later(part, part.now_s, account_id, field)
  end
end

-- Lets a partition's time go on to a second that another one has seen.
local function raise_clock(part, second)
  if second > part.now_s then
    part.now_s, part.now_ms, part.changed = second, second * 1000, true
  end
end

-- creditgate_move_write: ARGV account id, epoch, which (c, w, o, l or t), then what `read` gave of it in turn. What
-- waits comes before the orders. Answers 1, or 0 when the account is not arriving by this move any more.
local function move_write(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local account_id, which = args[1], args[3]
  if not is_arriving(part, account_id, tonumber(args[2])) then
    return 0
  end
  if which == 'c' then
    -- What has fallen due by the clock there must not be held here.
    raise_clock(part, tonumber(args[5]))
    -- first write
    flush({ part })
    return 1
  end
  for index = 4, #args, 2 do
    queue_arrived(part, account_id, which, args[index], args[index + 1])
  end
  part.changed = #args > 3
  -- first write
  for index = 4, #args, 2 do
    if which == 'w' then
      redis.call('ZADD', key.waiting(part, account_id), args[index + 1], args[index])
    else
      redis.call('HSET', MOVE_KEYS[which](part, account_id), args[index], args[index + 1])
    end
  end
  flush({ part })
  return 1
end

-- Lets an account that has arrived join its group, with all else that is put, if that is given; returns a FAILURE when
-- that can't be, or nil.
local function settle_in(part, acc, group_id, put)
  if put then
    local answer = operations[OPERATION.PUT_ACCOUNT](part, put)
    return string.byte(answer) ~= 0 and answer or nil
  end
  local failed = cannot_join(part, acc, group_id)
  if not failed then
    change_group(acc, group_id)
    account_changed(acc, EFFECT.ACCOUNT_CHANGED, '', '', 0)
  end
  return failed
end

-- creditgate_move_arrive: ARGV account id, epoch, group id ('' for none), and, where the move was for that, the packed
-- PUT_ACCOUNT. Answers 1 when the account has come here by this move, even if it has gone on since, 0 when it has not,
-- or a FAILURE when it can't join the group, or be put so.
local function move_arrive(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local account_id, epoch = args[1], tonumber(args[2])
  local acc = load_moving(part, account_id)
  if not acc then
    local _, stub_epoch = stub_of(part.elsewhere[account_id])
    return stub_epoch and stub_epoch > epoch and 1 or 0
  end
  if acc.moving and acc.moving.arriving and acc.epoch == epoch then
    acc.moving, part.changed = false, true
    journal_entry(acc, EFFECT.MOVED_HERE, args[3], '')
    local failed = settle_in(part, acc, args[3], args[4])
    if failed then
      return failed
    end
    -- first write
    flush({ part })
    return 1
  end
  return not (acc.moving and acc.moving.arriving) and acc.epoch >= epoch and 1 or 0
end

-- creditgate_move_cancel: ARGV account id, epoch, partition that it lives in. Takes back what was copied by a move.
-- Answers 1 when it is, or 0 when the account has arrived meanwhile.
local function move_cancel(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local account_id, epoch = args[1], tonumber(args[2])
  if not is_arriving(part, account_id, epoch) then
    local _, stub_epoch = stub_of(part.elsewhere[account_id])
    return stub_epoch == epoch and 1 or 0
  end
  local due_key = part.accounts[account_id].due_key
  -- first write
  redis.call('SET', key.account(part, account_id), pack_stub(tonumber(args[3]), epoch))
  redis.call('UNLINK', key.orders(part, account_id), key.ledger(part, account_id), key.texts(part, account_id), due_key,
    key.velocity(part, account_id), key.waiting(part, account_id))
  redis.call('HDEL', key.names(part), account_id)
  redis.call('ZREM', key.waiting_accounts(part), account_id)
  return 1
end

-- creditgate_move_thaw: ARGV account id, epoch. Gives a move up before the account has arrived: it lives on where it
-- is.
local function move_thaw(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local acc = load_moving(part, args[1])
  if not acc or not acc.moving or acc.moving.arriving or acc.moving.epoch ~= tonumber(args[2]) then
    return 0
  end
  -- The epoch is used up, so that what was copied can't arrive any more.
  acc.epoch, acc.moving, acc.changed, part.changed = acc.moving.epoch, false, true, true
  -- first write
  redis.call('HDEL', key.moves(part), args[1])
  flush({ part })
  return 1
end

-- creditgate_move_leave: ARGV account id, epoch. Takes the account out of its group and leaves a stub. Answers 1, or 0
-- when there is nothing to leave.
local function move_leave(keys, args)
  local part = open_partitions(keys, nil, true)[1]
  local account_id = args[1]
  local acc = load_moving(part, account_id)
  if not acc or not acc.moving or acc.moving.arriving or acc.moving.epoch ~= tonumber(args[2]) then
    return 0
  end
  count_in_group(acc, -1)
  part.changed = true
  local stub = pack_stub(acc.moving.partition, acc.moving.epoch)
  part.accounts[account_id] = false
  -- first write
  flush({ part })
  redis.call('SET', key.account(part, account_id), stub)
  redis.call('UNLINK', key.orders(part, account_id), key.ledger(part, account_id), key.texts(part, account_id),
    acc.due_key, key.velocity(part, account_id), key.waiting(part, account_id))
  redis.call('HDEL', key.names(part), account_id)
  redis.call('HDEL', key.moves(part), account_id)
  redis.call('ZREM', key.waiting_accounts(part), account_id)
  return 1
end

-- creditgate_moves: the accounts that are being moved away from here. Answers the store's second, then account id and
-- partition|since|group in turn.
local function list_moves(keys)
  local part = open_partitions(keys)[1]
  return { part.now_s, redis.call('HGETALL', key.moves(part)) }
end

functions[#functions + 1] = { name = 'creditgate_move_place', callback = move_place, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_freeze', callback = move_freeze, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_begin', callback = move_begin, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_write', callback = move_write, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_arrive', callback = move_arrive, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_cancel', callback = move_cancel, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_thaw', callback = move_thaw, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_leave', callback = move_leave, flags = {} }
functions[#functions + 1] = { name = 'creditgate_move_read', callback = move_read, flags = { 'no-writes' } }
functions[#functions + 1] = { name = 'creditgate_moves', callback = list_moves, flags = { 'no-writes' } }
