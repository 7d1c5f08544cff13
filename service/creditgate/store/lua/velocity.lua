-- What was approved for an account within a rolling window: 24 buckets of a 24th of the window each. The sum is that of
-- the present bucket and of the 24 before it, so never of less than the window. Kept only where the policy asks for it.

local NO_BUCKETS = {}

local function width_of(window_s)
  return math.ceil(window_s / VELOCITY_BUCKETS)
end

-- Takes the buckets of a record over, which are older by so many buckets than when they were written.
local function read_buckets(velocity, stored, count, older)
  for index = 4, 2 + 2 * count, 2 do
    local age, sum = stored[index] + older, stored[index + 1]
    if age == 0 then
      velocity.present = sum
    elseif age <= VELOCITY_BUCKETS then
      local earlier = velocity.earlier or {}
      velocity.earlier = earlier
      earlier[#earlier + 1] = age
      earlier[#earlier + 1] = sum
    else
      sum = 0
    end
    velocity.total = velocity.total + sum
  end
end

-- Returns what is stored of an account's velocity, false for nothing. It stood under a key of its own once, which is
-- dropped when it is first written with the account.
local function stored_velocity(acc)
  if acc.velocity_record then
    return acc.velocity_record
  end
  local record = redis.call('GET', key.velocity(acc.part, acc.id))
  return record, record
end

-- Returns what is stored with the account, nil for nothing.
local function pack_velocity(acc)
  local velocity = acc.velocity
  if not velocity or not velocity.changed then
    return acc.velocity_record
  end
  local earlier = velocity.earlier or NO_BUCKETS
  local count = #earlier / 2 + 1
  return struct.pack(format_of(LAYOUT.VELOCITY, LAYOUT.VELOCITY_BUCKET, count), velocity.window_s, velocity.bucket,
    count, 0, velocity.present, unpack(earlier))
end

-- Returns an account's velocity: the sum of the `present` bucket, age and sum of `earlier` ones in turn if there are
-- any, and the `total` of all. Another window than before begins anew, be it that the account's class has changed
-- within this call: what the call has counted until then is left as if it were stored.
local function load_velocity(acc, window_s)
  local known = acc.velocity
  if known and known.window_s == window_s then
    return known
  end
  if known then
    acc.velocity_record = pack_velocity(acc)
  end
  local record, has_key = stored_velocity(acc)
  local velocity = {
    window_s = window_s, bucket = math.floor(acc.part.now_s / width_of(window_s)), present = 0, earlier = false,
    total = 0, changed = false, has_key = has_key or known and known.has_key,
  }
  if record then
    local count = (#record - SIZE.VELOCITY) / SIZE.VELOCITY_BUCKET
    local stored = { struct.unpack(format_of(LAYOUT.VELOCITY, LAYOUT.VELOCITY_BUCKET, count), record) }
    if stored[1] == window_s then
      read_buckets(velocity, stored, count, math.max(0, velocity.bucket - stored[2]))
    end
  end
  acc.velocity = velocity
  return velocity
end

-- Counts what was approved, where the account's class looks at it.
local function count_velocity(acc, amount)
  local rule = acc.class.velocity
  if rule and amount > 0 then
    local velocity = load_velocity(acc, rule.number)
    local before = velocity.present
    velocity.present = math.min(AMOUNT_MAX, before + amount)
    velocity.total, velocity.changed = velocity.total + velocity.present - before, true
  end
end

local function drop_velocity_key(acc)
  local velocity = acc.velocity
  if velocity and velocity.has_key and (velocity.changed or acc.velocity_record) then
    redis.call('DEL', key.velocity(acc.part, acc.id))
  end
end
