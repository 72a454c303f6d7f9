-- Writes through ctx:exec without an end.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  while true do ctx:exec {op = "add", conversationId = "c1", role = "user", content = "x"} end
end}
