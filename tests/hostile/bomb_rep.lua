-- One text of a gigabyte.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("x"):rep(1 << 30)
  return next {op = "add", content = s}
end}
