-- The decision: every rule is evaluated, all that fire are returned, the severest action is the outcome.
--
-- A rule is a function of the account and the net amount of the order; it returns whether it fires, what it observed
-- and the threshold. The policy, one argument of each call, says what each rule does (LAYOUT.POLICY).

local RULES = {
  { code = REASON.ACCOUNT_BLOCKED, evaluate = function(acc)
    return acc.blocked, acc.blocked and 1 or 0, 0
  end },
  { code = REASON.ACCOUNT_CLOSED, evaluate = function(acc)
    return acc.closed, acc.closed and 1 or 0, 0
  end },
  { code = REASON.LIMIT_NOT_SET, evaluate = function(acc)
    return not acc.limit_set and not acc.unlimited, 0, 0
  end },
  -- An order that brings exposure exactly to the limit is within it. A fully secured order takes no credit.
  { code = REASON.LIMIT_EXCEEDED, evaluate = function(acc, net)
    local observed = exposure_of(acc) + net
    local limited = acc.limit_set and not acc.unlimited
    return limited and net > 0 and observed > acc.limit, observed, limited and acc.limit or 0
  end },
}

local OUTCOME_OF_ACTION = {
  [ACTION.OFF] = OUTCOME.APPROVED, [ACTION.SHADOW] = OUTCOME.APPROVED, [ACTION.FLAG] = OUTCOME.FLAGGED,
  [ACTION.REVIEW] = OUTCOME.PENDING_REVIEW, [ACTION.REJECT] = OUTCOME.REJECTED,
}

-- Returns the policy of a call: its version, and the rules that are on, each with its action.
local function open_policy(blob)
  local policy = { rules = {} }
  local after
  policy.version, after = struct.unpack('s', blob)
  for index = 1, #RULES do
    local action
    action, after = struct.unpack('B', blob, after)
    if action ~= ACTION.OFF then
      policy.rules[#policy.rules + 1] = { code = RULES[index].code, evaluate = RULES[index].evaluate, action = action }
    end
  end
  return policy
end

-- Returns outcome, number of reasons and packed reasons of a decision about a net amount. With `explain`, rules that
-- did not fire are among the reasons with the action OFF.
local function decide(acc, policy, net, explain)
  local rules, severest, count, reasons = policy.rules, ACTION.OFF, 0, ''
  for index = 1, #rules do
    local rule = rules[index]
    local fires, observed, threshold = rule.evaluate(acc, net)
    if fires or explain then
      local shown = fires and rule.action or ACTION.OFF
      count = count + 1
      reasons = reasons .. struct.pack(LAYOUT.REASON, rule.code, shown, observed, threshold)
      severest = math.max(severest, shown)
    end
  end
  return OUTCOME_OF_ACTION[severest], count, reasons
end

-- Returns a decision, packed, with what it saw of the account as it stands now.
local function pack_decision(acc, policy, outcome, reason_count, reasons)
  local exposure_flags = (acc.limit_set and EXPOSURE_FLAG.LIMIT_SET or 0)
    + (acc.unlimited and EXPOSURE_FLAG.UNLIMITED or 0)
  return struct.pack(LAYOUT.DECISION, outcome, exposure_flags, reason_count, acc.part.now_ms, acc.limit, acc.reserved,
    acc.receivable, acc.pending, acc.limit_version, policy.version) .. reasons
end

-- Returns why so much more exposure can't be counted, or nil.
local function uncountable(acc, net)
  local sum = exposure_of(acc) + acc.pending
  if sum + net > AMOUNT_MAX then
    return failure(ERROR.SUM_OUT_OF_RANGE, sum, acc.currency)
  end
end

-- Returns why an order of this currency and net amount can't be judged, or nil.
local function unjudgeable(acc, currency, net)
  if currency ~= acc.currency then
    return failure(ERROR.EXCHANGE_RATE_NOT_FOUND, 0, acc.currency)
  end
  return uncountable(acc, net)
end
