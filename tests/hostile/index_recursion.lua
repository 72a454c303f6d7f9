-- __index that calls itself.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t
  t = setmetatable({}, {__index = function(_, k) return t[k] end})
  return t.x
end}
