-- A loop of gotos with pcalls between.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  ::again::
  pcall(error)
  goto again
end}
