-- The decision: every rule that is on is evaluated, all that fire are returned, the severest action is the outcome.
--
-- A rule is two functions of the account, of what is asked (`net`: what it takes of the credit, and `amount`: the whole
-- order, both in the account's currency; `terms_days`; `exposure`: that of the account with the order; `limited`:
-- whether that has a limit to be compared with; `group_exposure`) and of its setting in the policy. FIRES returns
-- whether it fires; that is asked for every order, so it looks at what is cheap first. TELLS returns what it observed,
-- the threshold, the currency of the two, and the action where it is not the setting's.

local NO_CURRENCY = '   '
local DAY_S = 86400
local FIRES, TELLS = {}, {}

local function tolerance_of(limit, rule)
  return rule and math.max(share_of(limit, rule.share_bps), rule.amount) or 0
end

-- Returns what is overdue and not disputed.
local function overdue_of(acc)
  local aging = acc.aging
  return aging and aging.overdue > aging.disputed and aging.overdue - aging.disputed or 0
end

-- Returns how many seconds the base limit is over, -1 when it is not or does not count.
local function over_s(acc)
  return acc.base_counts and acc.limit_expire_s ~= 0 and acc.part.now_s - acc.limit_expire_s or -1
end

-- Returns how many seconds ago the base limit was confirmed, 0 when it does not count.
local function age_s(acc)
  return acc.base_counts and (acc.limit_set or acc.unlimited) and acc.part.now_s - acc.limit_confirm_s or 0
end

local function days_overdue(acc)
  local due_day = acc.aging and acc.aging.due_day or 0
  return due_day > 0 and math.max(0, today(acc.part) - due_day) or 0
end

-- Returns the threshold of a velocity rule, nil where the account has none: an amount, a share of the limit, or the
-- lower of the two.
local function most_approved(acc, rule)
  local most = rule.amount >= 0 and rule.amount or nil
  if rule.share_bps > 0 and acc.has_limit and not acc.no_ceiling then
    local share = share_of(acc.effective_limit, rule.share_bps)
    return most and most < share and most or share
  end
  return most
end

local function approved_with(acc, asked, rule)
  return math.min(AMOUNT_MAX, load_velocity(acc, rule.number).total + asked.net)
end

FIRES[REASON.ACCOUNT_BLOCKED] = function(acc) return acc.blocked end
TELLS[REASON.ACCOUNT_BLOCKED] = function(acc) return acc.blocked and 1 or 0, 0, NO_CURRENCY end

FIRES[REASON.ACCOUNT_CLOSED] = function(acc) return acc.closed end
TELLS[REASON.ACCOUNT_CLOSED] = function(acc) return acc.closed and 1 or 0, 0, NO_CURRENCY end

FIRES[REASON.LIMIT_NOT_SET] = function(acc) return not acc.has_limit and not acc.no_ceiling end
TELLS[REASON.LIMIT_NOT_SET] = function() return 0, 0, NO_CURRENCY end

FIRES[REASON.LIMIT_EXPIRED] = function(acc, _, rule)
  return acc.limit_expire_s ~= 0 and over_s(acc) >= rule.number * DAY_S
end
TELLS[REASON.LIMIT_EXPIRED] = function(acc, _, rule)
  return math.max(0, math.floor(over_s(acc) / DAY_S)), rule.number, NO_CURRENCY
end

FIRES[REASON.LIMIT_STALE] = function(acc, _, rule)
  return age_s(acc) > rule.number * DAY_S
end
TELLS[REASON.LIMIT_STALE] = function(acc, _, rule)
  return math.floor(age_s(acc) / DAY_S), rule.number, NO_CURRENCY
end

-- What the rules that compare exposure with the account's limit tell.
local function tell_limit(acc, asked)
  return asked.exposure, acc.effective_limit, acc.currency
end

-- An order that brings exposure exactly to the limit is within it.
FIRES[REASON.LIMIT_EXCEEDED] = function(acc, asked)
  local limit = acc.effective_limit
  return asked.limited and asked.exposure > limit and asked.exposure > limit + tolerance_of(limit, acc.class.tolerance)
end
TELLS[REASON.LIMIT_EXCEEDED] = tell_limit

FIRES[REASON.WITHIN_TOLERANCE] = function(acc, asked, rule)
  local limit = acc.effective_limit
  return asked.limited and asked.exposure > limit and asked.exposure <= limit + tolerance_of(limit, rule)
end
TELLS[REASON.WITHIN_TOLERANCE] = tell_limit

FIRES[REASON.NEAR_LIMIT] = function(acc, asked, rule)
  local limit = acc.effective_limit
  return asked.limited and asked.exposure <= limit and asked.exposure > share_of(limit, rule.share_bps)
end
TELLS[REASON.NEAR_LIMIT] = function(acc, asked, rule)
  return asked.exposure, share_of(acc.effective_limit, rule.share_bps), acc.currency
end

FIRES[REASON.GROUP_LIMIT_EXCEEDED] = function(_, asked)
  local group = asked.group
  return group and asked.group_exposure > group.limit and asked.net > 0 and not group.unlimited
end
-- Within the group's tolerance the order is marked only.
TELLS[REASON.GROUP_LIMIT_EXCEEDED] = function(_, asked, rule)
  local group = asked.group
  if not group then
    return 0, 0, NO_CURRENCY
  end
  local tolerated = asked.group_exposure <= group.limit + share_of(group.limit, rule.share_bps)
  return asked.group_exposure, group.limit, group.currency, tolerated and math.min(rule.action, ACTION.FLAG) or nil
end

FIRES[REASON.ORDER_TOO_LARGE] = function(_, asked, rule)
  return rule.amount >= 0 and asked.amount > rule.amount
end
TELLS[REASON.ORDER_TOO_LARGE] = function(acc, asked, rule)
  return asked.amount, math.max(0, rule.amount), acc.currency
end

FIRES[REASON.OVERDUE_AMOUNT] = function(acc, asked, rule)
  return rule.amount >= 0 and overdue_of(acc) > rule.amount
    and (rule.share_bps == 0 or acc.has_limit and not acc.no_ceiling
      and asked.exposure > share_of(acc.effective_limit, rule.share_bps))
end
TELLS[REASON.OVERDUE_AMOUNT] = function(acc, _, rule)
  return overdue_of(acc), math.max(0, rule.amount), acc.currency
end

FIRES[REASON.OVERDUE_DAYS] = function(acc, _, rule)
  local overdue = overdue_of(acc)
  return overdue > 0 and overdue > rule.amount and days_overdue(acc) > rule.number
end
TELLS[REASON.OVERDUE_DAYS] = function(acc, _, rule)
  return days_overdue(acc), rule.number, NO_CURRENCY
end

FIRES[REASON.VELOCITY_EXCEEDED] = function(acc, asked, rule)
  local most = asked.net > 0 and most_approved(acc, rule)
  return most and approved_with(acc, asked, rule) > most
end
TELLS[REASON.VELOCITY_EXCEEDED] = function(acc, asked, rule)
  return approved_with(acc, asked, rule), most_approved(acc, rule) or 0, acc.currency
end

FIRES[REASON.TERMS_TOO_LONG] = function(_, asked, rule) return asked.terms_days > rule.number end
TELLS[REASON.TERMS_TOO_LONG] = function(_, asked, rule) return asked.terms_days, rule.number, NO_CURRENCY end

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
    local fires = FIRES[rule.code](acc, asked, rule)
    if fires or explain then
      local observed, threshold, currency, instead = TELLS[rule.code](acc, asked, rule)
      local shown = fires and (instead or rule.action) or ACTION.OFF
      if not shadow then
        severest = shown > severest and shown or severest
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

-- Completes what is asked of an account with the exposures that it leads to; what takes no credit is within any limit.
-- Returns why it can't be judged, or nil. A group that can't be converted keeps an order from being judged only where
-- the group's rule has an effect.
local function complete(acc, asked)
  local sum = exposure_of(acc)
  if math.max(0, sum) + acc.pending + asked.net > AMOUNT_MAX or not group_counts(acc, asked.net, acc.receivable) then
    return failure(ERROR.SUM_OUT_OF_RANGE, sum + acc.pending, acc.currency)
  end
  asked.exposure = sum + asked.net
  asked.limited = acc.has_limit and not acc.no_ceiling and asked.net > 0
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
