-- Writes a batch whose ops all bear a table that came from a large text of the store, and is empty.
-- expect: timeout memory middleware any ms=700
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  for i = 1, 250000 do list[i] = 1 end
  op.metadata = {l = list}
  local result = next(op)
  local empty = result.message.metadata
  empty.l, op.metadata, list = nil, nil, nil
  local ops = {}
  for i = 1, 40 do ops[i] = {op = "add", conversationId = "c1", role = "user", content = "x", metadata = empty} end
  ctx:exec {op = "batch", ops = ops}
  error "enough"
end}
