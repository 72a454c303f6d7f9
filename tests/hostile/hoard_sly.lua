-- Fills nearly all of the memory, so that the next one fails.
-- expect: memory ok then=memory,ok memory=16
local kept = {}

return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  for i = 1, 15 do kept[i] = ("x"):rep(1000 << 10) .. i end
  return next(op)
end}
