-- Calls next again and again with a batch that fails at its end, once the terminal has done its work.
-- expect: timeout any
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local ops = {}
  for i = 1, 1000 do ops[i] = {op = "add", conversationId = "c1", role = "user", content = "some words " .. i} end
  ctx:exec {op = "batch", ops = ops}
  ops = {}
  for i = 1, 5 do ops[i] = {op = "fork", conversationId = "c1"} end
  ops[6] = {op = "update", messageId = "none", updates = {}}
  while true do pcall(next, {op = "batch", ops = ops}) end
end}
