-- A function after the commit that takes all memory.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  ctx:afterCommit(function() local s = "x"; while true do s = s .. s end end)
  return next(op)
end}
