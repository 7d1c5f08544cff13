-- The decision: every rule that is on is evaluated, all that fire are returned, the severest action is the outcome.

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
    local fires = rule.fires(acc, asked, rule)
    if fires or explain then
      local observed, threshold, currency, instead = rule.tells(acc, asked, rule)
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

-- Adds the exposure of the account's group that an order leads to, where the group's rule is going to look at it;
-- returns why the order can't be judged, or nil. A group without a limit, and an order that takes no credit, need no
-- exchange rate; one that is missing keeps an order from being judged only where the group's rule has an effect. To
-- `explain` what didn't fire, the exposure is told wherever it can be.
local function ask_group(acc, asked, explain)
  local rule = acc.class.by_code[REASON.GROUP_LIMIT_EXCEEDED]
  local group = rule and acc.group_id ~= '' and load_group(acc.part, acc.group_id)
  local judges = group and asked.net > 0 and not group.unlimited
  if not judges and not (group and explain) then
    return nil
  end
  local exposure, missing = group_exposure(acc.part, group, acc.currency, asked.net)
  if exposure then
    asked.group, asked.group_exposure = group, exposure
  elseif judges and rule.action > ACTION.SHADOW and not acc.part.policy.shadow then
    if load_rate(acc.part, missing, group.currency) ~= false then
      return group_out_of_range(group.id, group.currency)
    end
    return failure(ERROR.EXCHANGE_RATE_NOT_FOUND, 0, missing .. '>' .. group.currency .. '>' .. group.id)
  end
end

-- Returns what an order of a total asks of its account beyond what it holds already, for the rules (lua/rules.lua), and
-- what it would then have `held`; or nil and why it can't be judged. What takes no credit is within any limit.
local function ask_for(acc, order, total, explain)
  local held, whole, sum = held_of(order, total, order.committed), worth(order, total), exposure_of(acc)
  if not held or not whole then
    return nil, failure(ERROR.SUM_OUT_OF_RANGE, sum, acc.currency)
  end
  local net = math.max(0, held - (order.state == STATE.HELD and order.held or 0))
  if math.max(0, sum) + acc.pending + net > AMOUNT_MAX then
    return nil, failure(ERROR.SUM_OUT_OF_RANGE, sum + acc.pending, acc.currency)
  elseif not group_counts(acc, net, acc.receivable) then
    return nil, group_out_of_range(acc.group_id, acc.currency)
  end
  -- With room for what `ask_group` adds.
  local asked = {
    net = net, amount = whole, terms_days = order.terms_days, held = held, exposure = sum + net,
    limited = acc.has_limit and not acc.no_ceiling and net > 0, group = false, group_exposure = 0,
  }
  local failed = ask_group(acc, asked, explain)
  return not failed and asked or nil, failed
end
