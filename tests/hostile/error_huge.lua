-- An error of ten megabytes.
-- expect: middleware memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  error(("\27[31m\n"):rep(2 << 20))
end}
