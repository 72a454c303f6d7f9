-- Writes a megabyte through ctx:exec, again and again.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local content = ("x"):rep(1 << 20)
  while true do ctx:exec {op = "add", conversationId = "c1", role = "user", content = content} end
end}
