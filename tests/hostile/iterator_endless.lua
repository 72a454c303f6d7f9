-- An iterator that never ends.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  for _ in function() return 1 end do pcall(next) end
end}
