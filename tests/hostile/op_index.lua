-- An op that has its fields by __index only.
-- expect: invalid
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return next(setmetatable({}, {__index = op}))
end}
