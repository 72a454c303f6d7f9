-- A finalizer, put into what getmetatable gives.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = setmetatable({}, {})
  rawset(getmetatable(t), "__gc", function() while true do end end)
  t = nil
  for _ = 1, 1e4 do t = {} end
  return next(op)
end}
