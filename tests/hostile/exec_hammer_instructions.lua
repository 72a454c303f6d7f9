-- ctx:exec without an end, with all the time in the world.
-- expect: timeout instructions=10000000 ms=60000
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  while true do ctx:exec {op = "get", messageId = "m0"} end
end}
