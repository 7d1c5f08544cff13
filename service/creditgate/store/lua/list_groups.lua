-- creditgate_list_groups: a page of a partition's groups. Reads only.
-- KEYS: the partition. ARGV: cursor, field, page size. Answers { next cursor, next field, GROUP_ANSWER, … }.

local function list_groups(keys, args)
  local part = open_partitions(keys)[1]
  local page = { '', '' }
  page[1], page[2] = scan_page(key.group_names(part), args[1], args[2], tonumber(args[3]), function(group_id)
    page[#page + 1] = group_answer(part, load_group(part, group_id), false)
    return true
  end)
  return page
end

functions[#functions + 1] = { name = 'creditgate_list_groups', callback = list_groups, flags = { 'no-writes' } }
