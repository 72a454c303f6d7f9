-- require of a file that is compiled code.
-- expect: invalid
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return require "hostile.bytecode"
end}
