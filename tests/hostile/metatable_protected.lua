-- A __metatable on what is handed on.
-- expect: invalid
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  setmetatable(op, {__metatable = "mine", __index = function() while true do end end})
  return next(op)
end}
