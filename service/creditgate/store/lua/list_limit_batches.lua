-- creditgate_list_limit_batches: a page of limit batches, newest first. Reads only.
-- KEYS: the first partition. ARGV: when the last batch of the page before was created ('' for the first page), its id,
-- page size, the states wanted (a 1 for each in their order). Answers { 1 when there may be more, then id, revision,
-- when it was created and changed, and record of each in turn }. A page of long records is shorter than asked for.

-- Returns whether a batch comes behind the place of a page.
local function is_behind(create_ms, batch_id, place_ms, place_id)
  return place_ms == '' or create_ms < tonumber(place_ms) or create_ms == tonumber(place_ms) and batch_id < place_id
end

local function list_limit_batches(keys, args)
  local part = open_partitions(keys)[1]
  local flat = redis.call('ZRANGE', key.limit_batches(part), '0', '-1', 'REV', 'WITHSCORES')
  local states, page, size = batch_states(part), { 0 }, 0
  for index = 1, #flat, 2 do
    local batch_id = flat[index]
    local state = batch_state(part, states, batch_id)
    if state and string.sub(args[4], state, state) == '1'
      and is_behind(tonumber(flat[index + 1]), batch_id, args[1], args[2]) then
      if #page >= 5 * tonumber(args[3]) or size > LIMIT_BATCHES_BYTES_MAX then
        page[1] = 1
        break
      end
      local stored = redis.call('HMGET', key.limit_batch(part, batch_id), 'revision', 'create_ms', 'update_ms',
        'record')
      size = size + #stored[4]
      page[#page + 1] = batch_id
      for place = 1, 4 do
        page[#page + 1] = stored[place]
      end
    end
  end
  return page
end

functions[#functions + 1] = {
  name = 'creditgate_list_limit_batches', callback = list_limit_batches, flags = { 'no-writes' },
}
