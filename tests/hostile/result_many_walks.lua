-- Puts one table, which was large once, in the place of each of many empty ones in the answer's metadata.
-- expect: timeout memory any
local json = require "holdfast.json"
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  op.metadata = json.decode('{"l":[' .. ("{},"):rep(100000) .. "{}]}")
  local result = next(op)
  local large = {}
  for i = 1, 1 << 20 do large[i] = true end
  for i = 1, 1 << 20 do large[i] = nil end
  local list = result.message.metadata.l
  for i = 1, #list do list[i] = large end
  return result
end}
