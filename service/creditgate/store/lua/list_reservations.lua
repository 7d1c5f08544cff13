-- creditgate_list_reservations: a page of an account's reservations. Reads only.
-- KEYS: the partition. ARGV: account id, cursor, field, page size, then a 1 for each state that is wanted, by its
-- number. Answers { next cursor, next field, order id, ORDER_ANSWER, order id, ORDER_ANSWER, … }, or a FAILURE alone.

local function list_reservations(keys, args)
  local part = open_partitions(keys)[1]
  local acc = load_account(part, args[1])
  if not acc then
    return absent(part, args[1])
  end
  local page = { '', '' }
  page[1], page[2] = scan_page(key.orders(part, acc.id), args[2], args[3], tonumber(args[4]), function(order_id, record)
    local order = unpack_order(record)
    if string.sub(args[5], state_now(part, order), state_now(part, order)) ~= '1' then
      return false
    end
    page[#page + 1] = order_id
    page[#page + 1] = order_answer(acc, order, 0, 0)
    return true
  end)
  return page
end

functions[#functions + 1] = {
  name = 'creditgate_list_reservations', callback = list_reservations, flags = { 'no-writes' },
}
