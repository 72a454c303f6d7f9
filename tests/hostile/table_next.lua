-- Walks over a large empty table.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 60000 do t["k" .. i] = i end
  for i = 1, 60000 do t["k" .. i] = nil end
  while true do for _ in pairs(t) do error "not empty" end end
end}
