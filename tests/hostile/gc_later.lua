-- A finalizer, given to a metatable in use.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local meta = {}
  local t = setmetatable({}, meta)
  meta.__gc = function() while true do end end
  setmetatable({}, nil)
  t = nil
  for _ = 1, 1e4 do t = {t and nil} end
  return next(op)
end}
