-- A weak table, which a failing allocation makes Lua free twice.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return setmetatable({}, {__mode = "k", __newindex = {}})
end}
