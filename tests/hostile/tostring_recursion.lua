-- __tostring that calls tostring.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t
  t = setmetatable({}, {__tostring = function() return tostring(t) end})
  return tostring(t)
end}
