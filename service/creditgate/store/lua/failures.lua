-- The answer of an operation that could not be carried out: why, with a number and a text that the message needs.
local function failure(reason, number, text)
  return struct.pack(LAYOUT.FAILURE, reason, number or 0, text or '')
end

-- The answer where the exposure of a group in a currency would leave the range.
local function group_out_of_range(group_id, currency)
  return failure(ERROR.SUM_OUT_OF_RANGE, 0, currency .. '>' .. group_id)
end
