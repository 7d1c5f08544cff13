-- The decision: every rule that is on is evaluated, all that fire are returned, the severest action is the outcome.
--
-- A rule is a function of the account, of what is asked (`net`: what it takes of the credit, and `amount`: the whole
-- order, both in the account's currency; `terms_days`; `exposure`: that of the account with the order;
-- `group_exposure`) and of its setting in the policy. It returns whether it fires, what it observed, the threshold, the
-- currency of the two, and the action where it is not the setting's.

local NO_CURRENCY = '   '
local DAY_S = 86400
local RULES = {}

-- Returns whether the account's exposure has a limit to be compared with; what takes no credit is always within it.
local function is_limited(acc, asked)
  return acc.has_limit and not acc.no_ceiling and asked.net > 0
end

local function tolerance_of(limit, rule)
  return rule and math.max(share_of(limit, rule.share_bps), rule.amount) or 0
end

-- Returns what is overdue and not disputed.
local function overdue_of(acc)
  return acc.aging and math.max(0, acc.aging.overdue - acc.aging.disputed) or 0
end

RULES[REASON.ACCOUNT_BLOCKED] = function(acc)
  return acc.blocked, acc.blocked and 1 or 0, 0, NO_CURRENCY
end

RULES[REASON.ACCOUNT_CLOSED] = function(acc)
  return acc.closed, acc.closed and 1 or 0, 0, NO_CURRENCY
end

RULES[REASON.LIMIT_NOT_SET] = function(acc)
  return not acc.has_limit and not acc.no_ceiling, 0, 0, NO_CURRENCY
end

RULES[REASON.LIMIT_EXPIRED] = function(acc, _, rule)
  local over_s = acc.base_counts and acc.limit_expire_s ~= 0 and acc.part.now_s - acc.limit_expire_s or -1
  local fires = over_s >= 0 and over_s >= rule.number * DAY_S
  return fires, math.max(0, math.floor(over_s / DAY_S)), rule.number, NO_CURRENCY
end

RULES[REASON.LIMIT_STALE] = function(acc, _, rule)
  local age_s = acc.base_counts and (acc.limit_set or acc.unlimited) and acc.part.now_s - acc.limit_confirm_s or 0
  return age_s > rule.number * DAY_S, math.floor(age_s / DAY_S), rule.number, NO_CURRENCY
end

-- An order that brings exposure exactly to the limit is within it.
RULES[REASON.LIMIT_EXCEEDED] = function(acc, asked)
  local limit = acc.effective_limit
  return is_limited(acc, asked) and asked.exposure > limit + tolerance_of(limit, acc.class.tolerance),
    asked.exposure, limit, acc.currency
end

RULES[REASON.WITHIN_TOLERANCE] = function(acc, asked, rule)
  local limit = acc.effective_limit
  return is_limited(acc, asked) and asked.exposure > limit and asked.exposure <= limit + tolerance_of(limit, rule),
    asked.exposure, limit, acc.currency
end

RULES[REASON.NEAR_LIMIT] = function(acc, asked, rule)
  local share = share_of(acc.effective_limit, rule.share_bps)
  return is_limited(acc, asked) and asked.exposure > share and asked.exposure <= acc.effective_limit,
    asked.exposure, share, acc.currency
end

-- Within the group's tolerance the order is marked only.
RULES[REASON.GROUP_LIMIT_EXCEEDED] = function(_, asked, rule)
  local group = asked.group
  if not group then
    return false, 0, 0, NO_CURRENCY
  end
  local fires = not group.unlimited and asked.net > 0 and asked.group_exposure > group.limit
  local tolerated = fires and asked.group_exposure <= group.limit + share_of(group.limit, rule.share_bps)
  local instead = tolerated and math.min(rule.action, ACTION.FLAG) or nil
  return fires, asked.group_exposure, group.limit, group.currency, instead
end

RULES[REASON.ORDER_TOO_LARGE] = function(acc, asked, rule)
  return rule.amount >= 0 and asked.amount > rule.amount, asked.amount, math.max(0, rule.amount), acc.currency
end

RULES[REASON.OVERDUE_AMOUNT] = function(acc, asked, rule)
  local overdue = overdue_of(acc)
  local looks = rule.share_bps == 0
    or acc.has_limit and not acc.no_ceiling and asked.exposure > share_of(acc.effective_limit, rule.share_bps)
  return looks and rule.amount >= 0 and overdue > rule.amount, overdue, math.max(0, rule.amount), acc.currency
end

RULES[REASON.OVERDUE_DAYS] = function(acc, _, rule)
  local overdue, due_day = overdue_of(acc), acc.aging and acc.aging.due_day or 0
  local days = due_day > 0 and math.max(0, day_of(acc.part.policy, acc.part.now_s) - due_day) or 0
  return days > rule.number and overdue > math.max(0, rule.amount), days, rule.number, NO_CURRENCY
end

-- The threshold is an amount, a share of the limit, or the lower of the two.
RULES[REASON.VELOCITY_EXCEEDED] = function(acc, asked, rule)
  local threshold = rule.amount >= 0 and rule.amount or nil
  if rule.share_bps > 0 and acc.has_limit and not acc.no_ceiling then
    threshold = math.min(threshold or AMOUNT_MAX, share_of(acc.effective_limit, rule.share_bps))
  end
  local sum = math.min(AMOUNT_MAX, velocity_sum(acc, rule.number) + asked.net)
  return threshold ~= nil and asked.net > 0 and sum > threshold, sum, threshold or 0, acc.currency
end

RULES[REASON.TERMS_TOO_LONG] = function(_, asked, rule)
  return asked.terms_days > rule.number, asked.terms_days, rule.number, NO_CURRENCY
end

local OUTCOME_OF_ACTION = {
  [ACTION.OFF] = OUTCOME.APPROVED, [ACTION.SHADOW] = OUTCOME.APPROVED, [ACTION.FLAG] = OUTCOME.FLAGGED,
  [ACTION.REVIEW] = OUTCOME.PENDING_REVIEW, [ACTION.REJECT] = OUTCOME.REJECTED,
}

-- Returns outcome, number of reasons and packed reasons of a decision. With `explain`, rules that did not fire are
-- among the reasons with the action OFF. In shadow mode no reason has an effect.
local function decide(acc, asked, explain)
  local rules, shadow = acc.class.rules, acc.part.policy.shadow
  local severest, count, reasons = ACTION.OFF, 0, ''
  for index = 1, #rules do
    local rule = rules[index]
    local fires, observed, threshold, currency, instead = RULES[rule.code](acc, asked, rule)
    if fires or explain then
      local shown = fires and (instead or rule.action) or ACTION.OFF
      if not shadow then
        severest = math.max(severest, shown)
      elseif shown > ACTION.SHADOW then
        shown = shown + SHADOW_BIT
      end
      count = count + 1
      reasons = reasons .. struct.pack(LAYOUT.REASON, rule.code, shown, observed, threshold, currency)
    end
  end
  return OUTCOME_OF_ACTION[severest], count, reasons
end

-- Returns a decision, packed, with what it saw of the account as it stands now.
local function pack_decision(acc, outcome, reason_count, reasons)
  return struct.pack(LAYOUT.DECISION, outcome, acc.exposure_flags, reason_count, acc.part.now_ms, acc.effective_limit,
    acc.reserved, acc.receivable, acc.pending, acc.limit_version, acc.part.policy.version) .. reasons
end

-- Completes what is asked of an account with the exposures that it leads to. Returns why it can't be judged, or nil. A
-- group that can't be converted keeps an order from being judged only where the group's rule has an effect.
local function complete(acc, asked)
  local sum = exposure_of(acc)
  if math.max(0, sum) + acc.pending + asked.net > AMOUNT_MAX or not group_counts(acc, asked.net, acc.receivable) then
    return failure(ERROR.SUM_OUT_OF_RANGE, sum + acc.pending, acc.currency)
  end
  asked.exposure = sum + asked.net
  local rule = acc.class.by_code[REASON.GROUP_LIMIT_EXCEEDED]
  local group = rule and acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  if group then
    local exposure, missing = group_exposure(acc.part, group, acc.currency, asked.net)
    if exposure then
      asked.group, asked.group_exposure = group, exposure
    elseif rule.action > ACTION.SHADOW and not acc.part.policy.shadow then
      return failure(ERROR.EXCHANGE_RATE_NOT_FOUND, 0, missing .. '>' .. group.currency)
    end
  end
end

-- Returns the rate from an order's currency to its account's, nil for the same one; or false and why there is none.
local function rate_for(acc, currency)
  local rate = load_rate(acc.part, currency, acc.currency)
  if rate == false then
    return false, failure(ERROR.EXCHANGE_RATE_NOT_FOUND, 0, currency .. '>' .. acc.currency)
  end
  return rate
end

-- Returns an order as it is asked for, with its rate; or nil and why it can't be judged.
local function new_order(acc, amount, secured, terms_days, currency)
  local rate, failed = rate_for(acc, currency)
  if rate == false then
    return nil, failed
  end
  return {
    state = 0, terms_days = terms_days, revision = 0, amount = amount, first_amount = amount, secured = secured,
    committed = 0, held = 0, expire_s = 0, update_s = acc.part.now_s, currency = currency, rate = rate,
  }
end

-- Returns what an order asks of its account; or nil and why it can't be judged.
local function ask_order(acc, order)
  local asked = {
    net = held_of(order, order.amount, order.committed), amount = worth(order, order.amount),
    terms_days = order.terms_days,
  }
  if not asked.net or not asked.amount then
    return nil, failure(ERROR.SUM_OUT_OF_RANGE, exposure_of(acc), acc.currency)
  end
  local failed = complete(acc, asked)
  return not failed and asked or nil, failed
end
