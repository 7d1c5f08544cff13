-- ReleaseReservation: gives back what is still held for an order. Releasing a released order is a replay, with any
-- request id. Takes LAYOUT.RELEASE_RESERVATION; answers ORDER_ANSWER, or ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND,
-- ETAG_MISMATCH, RESERVATION_NOT_HELD (committed to its end, or refused).

operations[OPERATION.RELEASE_RESERVATION] = function(part, blob)
  local _, _, etag_ms, etag_revision, account_id, order_id, request_id, reason
    = struct.unpack(LAYOUT.RELEASE_RESERVATION, blob)
  local acc, order = find_order(part, account_id, order_id)
  if not acc then
    return order
  end
  local state = state_now(part, order)
  if state == STATE.RELEASED then
    return order_answer(acc, order, ANSWER_FLAG.REPLAYED, 0)
  end
  if not is_current(order, etag_ms, etag_revision) then
    return failure(ERROR.ETAG_MISMATCH)
  end
  if state == STATE.COMMITTED or state == STATE.REFUSED then
    return failure(ERROR.RESERVATION_NOT_HELD, state)
  end
  if state == STATE.HELD then
    drop_waiting(acc, order_id, order)
    hold_until(acc, order_id, order, 0, order.expire_s)
  elseif state == STATE.PENDING_REVIEW then
    drop_waiting(acc, order_id, order)
  end
  order.held = 0
  end_order(acc, order_id, order, STATE.RELEASED)
  store_order(acc, order_id, order, EFFECT.RELEASED, request_id .. '\0' .. reason .. '\0', part.now_ms, '')
  return order_answer(acc, order, 0, 0)
end
