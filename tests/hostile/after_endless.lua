-- Functions after the commit that never end.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  for _ = 1, 100 do ctx:afterCommit(function() while true do pcall(error) end end) end
  return next(op)
end}
