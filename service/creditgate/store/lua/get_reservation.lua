-- GetReservation: the reservation as it is now. Reads only.
-- Takes LAYOUT.ORDER_NAMED; answers ORDER_ANSWER, or ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND.

operations[OPERATION.GET_RESERVATION] = function(part, blob)
  local _, _, account_id, order_id = struct.unpack(LAYOUT.ORDER_NAMED, blob)
  local acc, order = find_order(part, account_id, order_id)
  return acc and order_answer(acc, order, 0, 0) or order
end
