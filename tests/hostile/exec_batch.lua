-- A batch of ten thousand ops with the same ten megabytes.
-- expect: invalid timeout memory any
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local content, ops = ("x"):rep(10 << 20), {}
  for i = 1, 10000 do ops[i] = {op = "add", conversationId = "c1", role = "user", content = content} end
  return ctx:exec {op = "batch", ops = ops}
end}
