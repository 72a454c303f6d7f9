-- The same, in the largest table that may be.
-- expect: memory timeout ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t, step = {}, (1 << 16) - 1
  for i = 1, (1 << 15) + 1 do t[i * step] = true end
  return next(op)
end}
