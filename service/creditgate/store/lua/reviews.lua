-- Orders and amends that wait for a person, and what becomes of them when a limit changes, by an operation or by
-- itself: where the policy says so, they are judged anew, the oldest first, and what then needs nobody is held.

local REVIEWS_MAX = 100

-- Judges what waits of an order; returns the asked amounts and the decision, or nil when it has to go on waiting.
local function judge_waiting(acc, order)
  local total = order.waiting and order.waiting.amount or order.amount
  local held, whole = held_of(order, total, order.committed), worth(order, total)
  if not held or not whole then
    return nil
  end
  local asked = {
    net = order.waiting and held - order.held or held, amount = whole, terms_days = order.terms_days, held = held,
    total = total,
  }
  if complete(acc, asked) then
    return nil
  end
  local outcome, reason_count, reasons = decide(acc, asked, false)
  if outcome == OUTCOME.APPROVED or outcome == OUTCOME.FLAGGED then
    return asked, pack_decision(acc, outcome, reason_count, reasons)
  end
end

-- Holds what waited. The order keeps the decision that it was answered with; the journal has the one that released it.
local function release_waiting(acc, order_id, order, asked, decision)
  drop_waiting(acc, order_id, order)
  if order.state == STATE.PENDING_REVIEW then
    order.state = STATE.HELD
  end
  order.amount = asked.total
  count_velocity(acc, asked.net)
  hold_until(acc, order_id, order, asked.held, order.expire_s)
  store_order(acc, order_id, order, EFFECT.REVIEW_RELEASED, '', acc.part.now_ms, decision)
end

-- Releases what waits for an account and now needs nobody; returns how many orders that were, and of how many.
local function release_fitting(acc)
  local released = 0
  local order_ids = redis.call('ZRANGE', key.waiting(acc.part, acc.id), '0', text_of(REVIEWS_MAX - 1))
  for index = 1, #order_ids do
    local order = load_order(acc, order_ids[index])
    local state = order and state_now(acc.part, order)
    if state == STATE.PENDING_REVIEW or state == STATE.HELD and order.waiting then
      local asked, decision = judge_waiting(acc, order)
      if asked then
        release_waiting(acc, order_ids[index], order, asked, decision)
        released = released + 1
      end
    end
  end
  return released, #order_ids
end

-- Looks at what waits for an account whose limit has changed; returns how many orders are released, and of how many.
local function limit_changed(acc)
  if acc.pending == 0 then
    return 0, 0
  end
  acc.waiting = acc.waiting or {}  -- the next change is another one
  if not acc.class.releases_reviews then
    return 0, 0
  end
  return release_fitting(acc)
end
