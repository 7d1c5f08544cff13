-- GetGroup: the group as it is now. Reads only.
-- Takes LAYOUT.ACCOUNT_NAMED; answers GROUP_ANSWER, or GROUP_NOT_FOUND.

operations[OPERATION.GET_GROUP] = function(part, blob)
  local _, _, group_id = struct.unpack(LAYOUT.ACCOUNT_NAMED, blob)
  local group = load_group(part, group_id)
  return group and group_answer(part, group, false) or failure(ERROR.GROUP_NOT_FOUND, 0, group_id)
end
