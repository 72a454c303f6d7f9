-- A separator of a megabyte, very often.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("x"):rep(1e9, ("y"):rep(1 << 20))
  return s
end}
