-- json.encode of 2^30 nodes in thirty tables.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local json, t = require "holdfast.json", {}
  for _ = 1, 30 do t = {a = t, b = t} end
  while true do pcall(json.encode, t) end
end}
