-- A hundred thousand functions after the commit that raise.
-- expect: ok timeout memory
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  for _ = 1, 1e5 do ctx:afterCommit(function() error(("x"):rep(100)) end) end
  return next(op)
end}
