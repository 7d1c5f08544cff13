-- The rules of a decision.
--
-- A rule is two functions of the account, of what is asked of it (`ask_for`) and of its setting in the policy. Asked
-- are `net`, what the order takes of the credit, and `amount`, the whole order, both in the account's currency;
-- `terms_days`; `exposure`, that of the account with the order; `limited`, whether that has a limit to be compared
-- with; `group` and `group_exposure`. FIRES returns whether the rule fires; that is asked for every order, so it looks
-- at what is cheap first. TELLS returns what it observed, the threshold, the currency of the two, and the action where
-- it is not the setting's.

local NO_CURRENCY = '   '
local DAY_S = 86400

local function tolerance_of(limit, rule)
  return rule and math.max(share_of(limit, rule.share_bps), rule.amount) or 0
end

-- Returns what is overdue and not disputed.
local function overdue_of(acc)
  local aging = acc.aging
  local overdue = aging and aging[AGING.OVERDUE] - aging[AGING.DISPUTED] or 0
  return overdue > 0 and overdue or 0
end

-- Returns how many seconds the base limit is over, -1 when it is not or does not count.
local function over_s(acc)
  return not acc.overridden and acc.limit_expire_s ~= 0 and acc.part.now_s - acc.limit_expire_s or -1
end

-- Returns how many seconds ago the base limit was confirmed, 0 when it does not count.
local function age_s(acc)
  return not acc.overridden and (acc.limit_set or acc.unlimited) and acc.part.now_s - acc.limit_confirm_s or 0
end

local function days_overdue(acc)
  local due_day = acc.aging and acc.aging[AGING.DUE_DAY] or 0
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
  local approved = load_velocity(acc, rule.number).total + asked.net
  return approved < AMOUNT_MAX and approved or AMOUNT_MAX
end

FIRES[REASON.ACCOUNT_BLOCKED] = function(acc) return acc.blocked end
TELLS[REASON.ACCOUNT_BLOCKED] = function(acc) return acc.blocked and 1 or 0, 0, NO_CURRENCY end

FIRES[REASON.ACCOUNT_CLOSED] = function(acc) return acc.closed end
TELLS[REASON.ACCOUNT_CLOSED] = function(acc) return acc.closed and 1 or 0, 0, NO_CURRENCY end

-- What takes no credit meets no rule about limits: not these three either, which ask whether a limit counts.
FIRES[REASON.LIMIT_NOT_SET] = function(acc, asked)
  return not acc.has_limit and not acc.no_ceiling and asked.net > 0
end
TELLS[REASON.LIMIT_NOT_SET] = function() return 0, 0, NO_CURRENCY end

FIRES[REASON.LIMIT_EXPIRED] = function(acc, asked, rule)
  return acc.limit_expire_s ~= 0 and asked.net > 0 and over_s(acc) >= rule.number * DAY_S
end
TELLS[REASON.LIMIT_EXPIRED] = function(acc, _, rule)
  return math.max(0, math.floor(over_s(acc) / DAY_S)), rule.number, NO_CURRENCY
end

FIRES[REASON.LIMIT_STALE] = function(acc, asked, rule)
  return asked.net > 0 and age_s(acc) > rule.number * DAY_S
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
