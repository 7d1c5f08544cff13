-- What was approved for an account within a rolling window: 24 buckets of a 24th of the window each. The sum is that of
-- the present bucket and of the 24 before it, so never of less than the window. Kept only where the policy asks for it.

local function width_of(window_s)
  return math.ceil(window_s / VELOCITY_BUCKETS)
end

-- Returns the account's buckets: their age -> sum. Another window than before begins anew.
local function load_velocity(acc, window_s)
  if acc.velocity then
    return acc.velocity
  end
  local bucket = math.floor(acc.part.now_s / width_of(window_s))
  local velocity = { window_s = window_s, bucket = bucket, sums = {} }
  local record = redis.call('GET', key.velocity(acc.part, acc.id))
  if record then
    local stored_window_s, stored_bucket, count, after = struct.unpack(LAYOUT.VELOCITY, record)
    for _ = 1, stored_window_s == window_s and count or 0 do
      local age, sum = struct.unpack(LAYOUT.VELOCITY_BUCKET, record, after)
      age = age + bucket - stored_bucket
      if age <= VELOCITY_BUCKETS then
        velocity.sums[age] = sum
      end
      after = after + SIZE.VELOCITY_BUCKET
    end
  end
  acc.velocity = velocity
  return velocity
end

local function velocity_sum(acc, window_s)
  local total = 0
  for _, sum in pairs(load_velocity(acc, window_s).sums) do
    total = total + sum
  end
  return total
end

-- Counts what was approved, where the account's class looks at it.
local function count_velocity(acc, amount)
  local rule = acc.class.velocity
  if rule and amount > 0 then
    local velocity = load_velocity(acc, rule.number)
    velocity.sums[0] = math.min(AMOUNT_MAX, (velocity.sums[0] or 0) + amount)
    velocity.changed = true
  end
end

local function write_velocity(acc)
  local velocity = acc.velocity
  if velocity and velocity.changed then
    local parts, count = {}, 0
    for age, sum in pairs(velocity.sums) do
      count = count + 1
      parts[count] = struct.pack(LAYOUT.VELOCITY_BUCKET, age, sum)
    end
    local head = struct.pack(LAYOUT.VELOCITY, velocity.window_s, velocity.bucket, count)
    redis.call('SET', key.velocity(acc.part, acc.id), head .. table.concat(parts))
  end
end
