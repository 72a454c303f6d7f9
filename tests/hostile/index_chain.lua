-- __index of __index of __index, as long as Lua goes.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for _ = 1, 1900 do t = setmetatable({}, {__index = t}) end
  while true do local _ = t.x end
end}
