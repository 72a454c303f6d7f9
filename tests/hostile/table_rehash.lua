-- Makes a large table rehash at each step.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 60000 do t["k" .. i] = i end
  local i = 0
  while true do i = i + 1; t["k" .. i] = nil; t["n" .. i] = 1 end
end}
