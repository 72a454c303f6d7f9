-- Hands on an op that a layer below copies, and that is slow to walk: one table that was large once, in many places.
-- expect: timeout memory any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local large, list = {}, {}
  for i = 1, 1 << 20 do large[i] = true end
  for i = 1, 1 << 20 do large[i] = nil end
  for i = 1, 10000 do list[i] = large end
  op.metadata = {l = list}
  return next(op)
end}
