-- Writes, goes past its budget, and swallows it.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  ctx:exec {op = "add", conversationId = "c1", role = "user", content = "x"}
  pcall(function() while true do end end)
  return next(op)
end}
