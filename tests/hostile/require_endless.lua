-- require of a file that never ends.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(require, "hostile.endless")
  return next(op)
end}
