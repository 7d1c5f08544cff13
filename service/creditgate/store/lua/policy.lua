-- The policy, one argument of each call (LAYOUT.POLICY): what each rule does, by risk class and currency. It is read
-- once and kept between calls, since it hardly ever changes.

local RESOLVED_MAX = 1000

-- The rules by their code (lua/rules.lua): FIRES says whether a rule fires, TELLS what it then observed.
local FIRES, TELLS = {}, {}

local opened = { blob = false, policy = false }

local function read_class(blob, at)
  local credit_counts, releases_reviews, rule_count, name, after = struct.unpack(LAYOUT.POLICY_CLASS, blob, at)
  local class = {
    credit_counts = credit_counts == 1, releases_reviews = releases_reviews == 1, rules = {}, by_code = {},
  }
  for _ = 1, rule_count do
    local code, action, number, share_bps, amount = struct.unpack(LAYOUT.POLICY_RULE, blob, after)
    local rule = {
      code = code, action = action, number = number, share_bps = share_bps, amount = amount, fires = FIRES[code],
      tells = TELLS[code],
    }
    class.rules[#class.rules + 1] = rule
    class.by_code[code] = rule
    after = after + SIZE.POLICY_RULE
  end
  -- A tolerance that is off or in shadow has no effect: the limit rule then fires above the limit itself.
  local tolerance = class.by_code[REASON.WITHIN_TOLERANCE]
  class.tolerance = tolerance and tolerance.action > ACTION.SHADOW and tolerance or nil
  class.velocity = class.by_code[REASON.VELOCITY_EXCEEDED]
  return name, class, after
end

local function read_policy(blob)
  local shadow, credit_counts, hold_default_s, hold_longest_s, offset_count, class_count, version, after
    = struct.unpack(LAYOUT.POLICY, blob)
  local policy = {
    shadow = shadow == 1, credit_counts = credit_counts == 1, hold_default_s = hold_default_s,
    hold_longest_s = hold_longest_s, version = version, offsets = {}, classes = {}, resolved = {}, resolved_count = 0,
  }
  for index = 1, offset_count do
    local from_s, offset_s = struct.unpack(LAYOUT.POLICY_OFFSET, blob, after)
    policy.offsets[index] = { from_s = from_s, offset_s = offset_s }
    after = after + SIZE.POLICY_OFFSET
  end
  for _ = 1, class_count do
    local name, class
    name, class, after = read_class(blob, after)
    policy.classes[name] = class
  end
  return policy
end

-- Returns the policy of a call.
local function open_policy(blob)
  if opened.blob ~= blob then
    opened.policy = read_policy(blob)
    opened.blob = blob
  end
  return opened.policy
end

-- Returns the rules that judge an account of a risk class and a currency.
local function class_of(policy, risk_class, currency)
  local name = risk_class .. '|' .. currency
  local class = policy.resolved[name]
  if not class then
    local classes = policy.classes
    local named = classes[risk_class .. '|'] and risk_class or ''
    class = classes[named .. '|' .. currency] or classes[named .. '|']
    if policy.resolved_count >= RESOLVED_MAX then
      policy.resolved, policy.resolved_count = {}, 0
    end
    policy.resolved[name] = class
    policy.resolved_count = policy.resolved_count + 1
  end
  return class
end

-- Returns the day, counted from 1970-01-01, that a second is in where the policy's days begin.
local function day_of(policy, second)
  local offset_s = 0
  for index = #policy.offsets, 1, -1 do
    local offset = policy.offsets[index]
    if offset.from_s <= second or index == 1 then
      offset_s = offset.offset_s
      break
    end
  end
  return math.floor((second + offset_s) / 86400)
end

-- Returns today as such a day; it is the same for all of a call.
local function today(part)
  if not part.today then
    part.today = day_of(part.policy, part.now_s)
  end
  return part.today
end

-- Returns a share of an amount in basis points, rounded down, or the largest amount where the share is above it. Exact:
-- only what is above that, of a share of more than all, passes 2^53 on the way. No limit is below 0.
local function share_of(amount, share_bps)
  local rest = amount % 10000
  local parts = rest * share_bps
  local share = (amount - rest) / 10000 * share_bps + (parts - parts % 10000) / 10000
  return share < AMOUNT_MAX and share or AMOUNT_MAX
end
