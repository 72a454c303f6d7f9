-- Metadata of 2^30 nodes in thirty tables.
-- expect: badResult memory any ms=2000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for _ = 1, 30 do t = {a = t, b = t} end
  local result = next(op)
  result.message.metadata = t
  return result
end}
