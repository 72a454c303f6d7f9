-- __concat and __index in turns, in C and in Lua.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = setmetatable({}, {})
  local meta = {__concat = function(a, b) return tostring(a) .. b end, __index = function(a, k) return a .. k end}
  meta.__tostring = function(a) return a.x end
  t = setmetatable({}, meta)
  return t .. "x"
end}
