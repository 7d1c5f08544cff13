-- What was approved for an account within a rolling window: 24 buckets of a 24th of the window each. The sum is that of
-- the present bucket and of the 24 before it, so never of less than the window. Kept only where the policy asks for it.

local function width_of(window_s)
  return math.ceil(window_s / VELOCITY_BUCKETS)
end

-- Returns the account's buckets (`sums`: their age -> sum) and their `total`. Another window than before begins anew.
local function load_velocity(acc, window_s)
  if acc.velocity then
    return acc.velocity
  end
  local velocity_key = key.velocity(acc.part, acc.id)
  local bucket = math.floor(acc.part.now_s / width_of(window_s))
  local sums, total = {}, 0
  local record = redis.call('GET', velocity_key)
  if record then
    local stored_window_s, stored_bucket, count, after = struct.unpack(LAYOUT.VELOCITY, record)
    if stored_window_s == window_s then
      local older = bucket - stored_bucket
      for _ = 1, count do
        local age, sum
        age, sum, after = struct.unpack(LAYOUT.VELOCITY_BUCKET, record, after)
        age = age + older
        if age <= VELOCITY_BUCKETS then
          sums[age] = sum
          total = total + sum
        end
      end
    end
  end
  acc.velocity = {
    key = velocity_key, window_s = window_s, bucket = bucket, sums = sums, total = total, changed = false,
  }
  return acc.velocity
end

-- Counts what was approved, where the account's class looks at it.
local function count_velocity(acc, amount)
  local rule = acc.class.velocity
  if rule and amount > 0 then
    local velocity = load_velocity(acc, rule.number)
    local before = velocity.sums[0] or 0
    local sum = math.min(AMOUNT_MAX, before + amount)
    velocity.sums[0], velocity.total, velocity.changed = sum, velocity.total + sum - before, true
  end
end

local function write_velocity(acc)
  local velocity = acc.velocity
  if velocity and velocity.changed then
    local packed, count = '', 0
    for age, sum in pairs(velocity.sums) do
      count = count + 1
      packed = packed .. struct.pack(LAYOUT.VELOCITY_BUCKET, age, sum)
    end
    local head = struct.pack(LAYOUT.VELOCITY, velocity.window_s, velocity.bucket, count)
    write_string(acc.part, velocity.key, head .. packed)
  end
end
