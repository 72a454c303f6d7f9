-- ctx:exec through a ctx of an outer layer.
-- expect: depth middleware timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local function again() return ctx:exec {op = "add", conversationId = "c1", role = "user", content = "again"} end
  ctx.shared.again = again
  for _ = 1, 10 do ctx:exec {op = "get", messageId = "m0"} end
  error {code = "depth", message = "there is no way to recurse"}
end}
