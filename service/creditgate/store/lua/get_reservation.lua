-- GetReservation: the reservation as it is now. Reads only.
-- Takes LAYOUT.ORDER_NAMED; answers ORDER_ANSWER, or ACCOUNT_NOT_FOUND, RESERVATION_NOT_FOUND.

operations[OPERATION.GET_RESERVATION] = function(part, blob)
  local _, _, account_id, order_id = struct.unpack(LAYOUT.ORDER_NAMED, blob)
  local acc = load_account(part, account_id)
  if not acc then
    return absent(part, account_id)
  end
  local order = load_order(acc, order_id)
  return order and order_answer(acc, order, 0, 0) or failure(ERROR.RESERVATION_NOT_FOUND)
end
