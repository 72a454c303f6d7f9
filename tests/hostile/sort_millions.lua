-- Sorts millions of numbers again and again.
-- expect: timeout memory instructions=1000000000000000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 1e6 do t[i] = (i * 7919) % 1000003 end
  while true do table.sort(t); pcall(table.sort, t, nil) end
end}
