-- Pages through a hash that changes meanwhile, with exact page sizes. A place in it is a scan cursor and the last field
-- that was returned of that cursor's step: a step is sorted, and asked again continues behind that field. A field that
-- is there throughout is returned at least once, since that is what HSCAN promises of a whole scan.

local STEP_FIELDS = 64
local STEPS_MAX = 32

local function sorted_fields(flat)
  local values, fields = {}, {}
  for index = 1, #flat, 2 do
    fields[#fields + 1] = flat[index]
    values[flat[index]] = flat[index + 1]
  end
  table.sort(fields)
  return fields, values
end

-- Calls `take(field, value)` for fields behind the place until it has said yes `wanted` times or enough was looked at.
-- Returns the place to go on from: cursor and field; the cursor is '' at the end.
local function scan_page(hash_key, cursor, behind, wanted, take)
  local taken = 0
  for _ = 1, STEPS_MAX do
    local step = redis.call('HSCAN', hash_key, cursor, 'COUNT', STEP_FIELDS)
    local fields, values = sorted_fields(step[2])
    for index = 1, #fields do
      local field = fields[index]
      if field > behind then
        if taken == wanted then
          return cursor, behind
        end
        if take(field, values[field]) then
          taken = taken + 1
        end
        behind = field
      end
    end
    cursor, behind = step[1], ''
    if cursor == '0' then
      return '', ''
    end
    if taken == wanted then
      break
    end
  end
  return cursor, behind
end
