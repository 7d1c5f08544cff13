-- The states of all limit batches in one hash: to read each from its record would keep Redis busy for milliseconds.

-- Returns the states of limit batches by id, as text.
local function batch_states(part)
  local flat, states = redis.call('HGETALL', key.batch_states(part)), {}
  for index = 1, #flat, 2 do
    states[flat[index]] = flat[index + 1]
  end
  return states
end

-- Returns the state of a limit batch, a number; nil when it has no record. One that was last written before there was
-- the hash has it in its record alone.
local function batch_state(part, states, batch_id)
  return tonumber(states[batch_id] or redis.call('HGET', key.limit_batch(part, batch_id), 'state') or '')
end
