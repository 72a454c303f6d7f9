-- table.insert at the front of a large list.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 1000000 do t[i] = i end
  while true do table.insert(t, 1, 0); table.remove(t, 1) end
end}
