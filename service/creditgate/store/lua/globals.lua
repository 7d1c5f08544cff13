-- What Redis and Lua offer, under local names: a function of a library reaches each global through two protecting
-- tables, and a decision would do so fifty times. While a library loads, most of them can't be read yet, so that they
-- are taken over by the first call.

local register_function = redis.register_function

local function globals()
  return redis, struct, math, string, table, pairs, pcall, tonumber, tostring, unpack
end

local redis, struct, math, string, table, pairs, pcall, tonumber, tostring, unpack

-- Makes the global names usable; every function of the library begins with it.
local function bind_globals()
  if not redis then
    redis, struct, math, string, table, pairs, pcall, tonumber, tostring, unpack = globals()
  end
end
