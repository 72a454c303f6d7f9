-- Writes large messages and lists them all, again and again.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local content = ("x"):rep(1 << 20)
  for _ = 1, 30 do ctx:exec {op = "add", conversationId = "c1", role = "user", content = content} end
  local kept = {}
  while true do kept[#kept + 1] = ctx:exec {op = "list", conversationId = "c1", limit = 1000} end
end}
