-- Ops with wrong types, holes, mixed keys, and functions.
-- expect: invalid any
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  for _, bad in ipairs {{op = 1}, {op = {}}, {op = "add", content = ctx}, {op = "add", [1] = 1}, {[ctx] = 1, op = "add"},
                        {op = "batch", ops = {{op = "batch", ops = {}}}}, {op = "batch", ops = {[3] = op}}, {op = ("a"):rep(1e6)},
                        {op = "list", conversationId = "c1", limit = 0 / 0}, {op = "get\0", messageId = "m0"}} do
    if pcall(next, bad) then error "a bad op was taken" end
  end
  return next {op = "add", conversationId = "c1", role = "user", content = "x", ["\27[31m" .. ("z"):rep(1000)] = 1}
end}
