-- Gives the op of an outer layer a metatable, once next has had it.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local result = next(op)
  setmetatable(op, {__index = function() while true do end end, __newindex = error, __metatable = false})
  return result
end}
