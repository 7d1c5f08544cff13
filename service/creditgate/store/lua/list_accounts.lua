-- creditgate_list_accounts: a page of a partition's accounts. Reads only.
-- KEYS: the partition. ARGV: cursor, field, page size. Answers { next cursor, next field, ACCOUNT_ANSWER, … }.

local function list_accounts(keys, args)
  local part = open_partitions(keys)[1]
  local page = { '', '' }
  page[1], page[2] = scan_page(key.names(part), args[1], args[2], tonumber(args[3]), function(account_id)
    local acc = load_account(part, account_id)
    page[#page + 1] = acc and account_answer(acc, 0) or nil
    return acc and true or false
  end)
  return page
end

functions[#functions + 1] = { name = 'creditgate_list_accounts', callback = list_accounts, flags = { 'no-writes' } }
