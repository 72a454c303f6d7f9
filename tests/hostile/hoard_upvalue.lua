-- Fills the memory by a variable of its own, in small pieces, and keeps it.
-- expect: memory then=memory memory=16 ms=5000
local kept = {}

return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  for i = #kept + 1, 1e9 do kept[i] = {i} end
end}
