-- json.encode that fails late, again and again.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local json, t = require "holdfast.json", {}
  for i = 1, 50000 do t[i] = {} end
  t[#t + 1] = error
  while true do pcall(json.encode, t) end
end}
