-- Fills the memory through ctx.state, and keeps it.
-- expect: memory then=memory memory=16 ms=5000
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local state = ctx.state
  for i = 1, 1e9 do state[i] = ("x"):rep(10000) .. i end
end}
