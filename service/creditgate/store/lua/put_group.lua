-- PutGroup: creates a credit group, or changes its limit and its name.
-- Takes LAYOUT.PUT_GROUP; answers GROUP_ANSWER, or GROUP_EXISTS_WITH_DIFFERENT_CURRENCY.

operations[OPERATION.PUT_GROUP] = function(part, blob)
  local _, _, unlimited, limit, group_id, currency, name = struct.unpack(LAYOUT.PUT_GROUP, blob)
  local group = load_group(part, group_id)
  local created = not group
  if created then
    group = new_group(part, group_id, currency)
    part.groups[group_id] = group
  elseif currency ~= group.currency then
    return failure(ERROR.GROUP_EXISTS_WITH_DIFFERENT_CURRENCY, 0, group.currency)
  end
  local rises = not created and (unlimited == 1 and not group.unlimited or unlimited == 0 and limit > group.limit)
  group.raised = group.raised or rises  -- by this call, whatever comes after it
  group.unlimited, group.limit, group.changed = unlimited == 1, limit, true
  part.group_names[group_id] = name
  local answer = group_answer(part, group, created)
  journal_effect(part, struct.pack(LAYOUT.ENTRY_EFFECT, EFFECT_HEAD.ENTRY + #group_id + #answer, EFFECT.GROUP_CHANGED,
    part.now_ms, 0, 0, 0, 0, '', group_id), answer)
  return answer
end
