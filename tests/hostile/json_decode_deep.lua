-- json.decode of a text that nests very deep.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local json = require "holdfast.json"
  pcall(json.decode, ("["):rep(1e6) .. ("]"):rep(1e6))
  pcall(json.decode, ("["):rep(499) .. ("]"):rep(499))
  error "done"
end}
