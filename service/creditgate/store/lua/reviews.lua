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

local NOTHING_SINCE = {}

-- Returns the orders that wait for an account, the oldest first: those of earlier calls, then those of this one.
local function waiting_orders(acc)
  local stored = redis.call('ZRANGE', key.waiting(acc.part, acc.id), '0', text_of(REVIEWS_MAX - 1))
  local order_ids, since, changed = {}, {}, acc.waiting or NOTHING_SINCE
  for index = 1, #stored do
    if changed[stored[index]] == nil then
      order_ids[#order_ids + 1] = stored[index]
    end
  end
  for order_id, waits in pairs(changed) do
    if waits then
      since[#since + 1] = order_id
    end
  end
  table.sort(since)
  for index = 1, math.min(#since, REVIEWS_MAX - #order_ids) do
    order_ids[#order_ids + 1] = since[index]
  end
  return order_ids
end

-- Releases what waits for an account and now needs nobody; returns how many orders that were, and of how many.
local function release_fitting(acc)
  local released, order_ids = 0, waiting_orders(acc)
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
-- What takes no credit waits too, and is not in the sum: it is searched for only where it could be released.
local function limit_changed(acc)
  local releases = acc.class.releases_reviews
  if acc.pending == 0 and not releases then
    return 0, 0
  end
  local released, orders = 0, 0
  if releases then
    released, orders = release_fitting(acc)
  end
  if acc.pending > 0 or orders > 0 then
    acc.waiting = acc.waiting or {}  -- the next change is another one
  end
  return released, orders
end
