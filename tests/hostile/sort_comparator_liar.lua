-- A comparator that always says yes.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = {}
  for i = 1, 1e5 do t[i] = i end
  table.sort(t, function() return true end)
  error "it was sorted"
end}
