-- The answer of an operation that could not be carried out: why, with a number and a text that the message needs.
local function failure(reason, number, text)
  return struct.pack(LAYOUT.FAILURE, reason, number or 0, text or '')
end
