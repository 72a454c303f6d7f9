-- Calls next again and again where it fails.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do pcall(next, {op = "update", messageId = "none", updates = {a = 1}}) end
end}
