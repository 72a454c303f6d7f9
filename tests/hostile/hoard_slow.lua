-- Keeps a little of each op.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  for _ = 1, 100 do ctx.state[#ctx.state + 1] = {op = op, ctx = ctx, next = next} end
  return next(op)
end}
