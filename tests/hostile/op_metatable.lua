-- Gives the op a metatable, on the way down and up.
-- expect: invalid
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  setmetatable(op, {__index = function() while true do end end, __pairs = error, __len = error})
  local result = next(op)
  setmetatable(result, {__index = error, __newindex = error})
  setmetatable(result.message, {__index = error, __pairs = error})
  return result
end}
