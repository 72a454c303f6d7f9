-- A result with a metatable.
-- expect: badResult
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local result = next(op)
  return setmetatable(result, {__index = error, __newindex = error})
end}
