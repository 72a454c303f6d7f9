-- A module that requires itself.
-- expect: middleware invalid
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return require "hostile.itself"
end}
