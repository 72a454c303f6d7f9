-- A text that takes six times its size as JSON.
-- expect: memory timeout
local json = require "holdfast.json"
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  json.encode(("\1"):rep(20 << 20))
end}
