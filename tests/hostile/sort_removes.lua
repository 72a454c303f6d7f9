-- A comparator that empties the table it sorts.
-- expect: middleware ok timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 1000 do t[i] = {} end
  table.sort(t, function() for i = #t, 1, -1 do t[i] = nil end return true end)
  return next(op)
end}
