-- An op whose metadata has 2^60 nodes in sixty tables.
-- expect: invalid memory timeout any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for _ = 1, 60 do t = {a = t, b = t} end
  op.metadata = t
  return next(op)
end}
