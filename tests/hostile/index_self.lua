-- __index that leads to itself.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  setmetatable(t, {__index = t, __newindex = t})
  t.x = t.y
end}
