-- Exchange rates: exact arithmetic, on limbs of seven decimal digits where an amount times a rate passes 2^53.

local LIMB = 10000000

local function limbs_of(number)
  local limbs = {}
  repeat
    limbs[#limbs + 1] = number % LIMB
    number = math.floor(number / LIMB)
  until number == 0
  return limbs
end

-- Returns the decimal digits of the product of two whole numbers.
local function product_digits(a, b)
  local left, right, sums = limbs_of(a), limbs_of(b), {}
  for index = 1, #left + #right do
    sums[index] = 0
  end
  for i = 1, #left do
    local carry = 0
    for j = 1, #right do
      local sum = sums[i + j - 1] + left[i] * right[j] + carry
      sums[i + j - 1] = sum % LIMB
      carry = math.floor(sum / LIMB)
    end
    sums[i + #right] = sums[i + #right] + carry
  end
  local digits = {}
  for index = #sums, 1, -1 do
    digits[#digits + 1] = string.format('%07d', sums[index])
  end
  return table.concat(digits)
end

-- Returns an amount converted at a rate { mantissa, scale, shift } and rounded up, or nil when it would leave the
-- range. Without a rate, amounts are in one currency.
local function convert(amount, rate)
  if not rate or amount == 0 then
    return amount
  end
  local cut = rate.scale + rate.shift - SHIFT_ZERO
  local product = amount * rate.mantissa
  if cut >= 0 and product <= AMOUNT_MAX then
    local unit = 10 ^ cut
    local rest = product % unit
    return (product - rest) / unit + (rest > 0 and 1 or 0)
  end
  local digits = product_digits(amount, rate.mantissa)
  local whole, rest
  if cut <= 0 then
    whole, rest = digits .. string.rep('0', -cut), ''
  else
    digits = string.rep('0', cut) .. digits
    whole, rest = string.sub(digits, 1, -cut - 1), string.sub(digits, -cut)
  end
  whole = string.match(whole, '^0*(%d*)$')
  if #whole > 16 then
    return nil
  end
  local converted = tonumber(whole == '' and '0' or whole) + (string.find(rest, '[1-9]') and 1 or 0)
  return converted <= AMOUNT_MAX and converted or nil
end

-- Returns the present rate from one currency to another: nil for the same one, false when there is none.
local function load_rate(part, from, to)
  if from == to then
    return nil
  end
  local rates = part.rates[to]
  if not rates then
    rates = {}
    part.rates[to] = rates
  end
  local rate = rates[from]
  if rate == nil then
    rate = false
    local stored = redis.call('HGET', key.rates(part), from .. '>' .. to)
    if stored then
      local _, expire_s, after = struct.unpack(LAYOUT.STORED_RATE, stored)
      if expire_s == 0 or expire_s > part.now_s then
        local mantissa, scale, shift = struct.unpack(LAYOUT.RATE, stored, after)
        rate = { mantissa = mantissa, scale = scale, shift = shift }
      end
    end
    rates[from] = rate
  end
  return rate
end
