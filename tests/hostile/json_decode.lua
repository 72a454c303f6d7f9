-- json.decode of a text of millions of values.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local json = require "holdfast.json"
  local text = "[" .. ("1,"):rep(4 << 20) .. "1]"
  while true do pcall(json.decode, text) end
end}
