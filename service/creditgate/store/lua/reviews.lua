-- Orders and amends that wait for a person, and what becomes of them when a limit changes, by an operation or by
-- itself: where the policy says so, they are judged anew, the oldest first, and what then needs nobody is held.

local REVIEWS_MAX = 100

-- Holds what waits of an order and now needs nobody; returns whether it does. The order keeps the decision that it was
-- answered with; the journal has the one that released it.
local function release_if_fitting(acc, order_id, order)
  local total = order.waiting and order.waiting.amount or order.amount
  local asked = ask_for(acc, order, total)
  if not asked then
    return false
  end
  local outcome, reason_count, reasons = decide(acc, asked, false)
  if outcome ~= OUTCOME.APPROVED and outcome ~= OUTCOME.FLAGGED then
    return false
  end
  local decision = pack_decision(acc, outcome, reason_count, reasons)
  drop_waiting(acc, order_id, order)
  order.state, order.amount = STATE.HELD, total
  count_velocity(acc, asked.net)
  hold_until(acc, order_id, order, asked.held, order.expire_s)
  store_order(acc, order_id, order, EFFECT.REVIEW_RELEASED, '', acc.part.now_ms, decision)
  return true
end

-- Releases what waits for an account and now needs nobody; returns how many orders that were, and of how many.
local function release_fitting(acc)
  local released = 0
  local order_ids = redis.call('ZRANGE', key.waiting(acc.part, acc.id), '0', text_of(REVIEWS_MAX - 1))
  for index = 1, #order_ids do
    local order = load_order(acc, order_ids[index])
    local state = order and state_now(acc.part, order)
    if state == STATE.PENDING_REVIEW or state == STATE.HELD and order.waiting then
      released = released + (release_if_fitting(acc, order_ids[index], order) and 1 or 0)
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
