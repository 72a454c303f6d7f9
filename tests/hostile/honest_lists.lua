-- Builds, sorts and joins lists of a hundred thousand.
-- expect: ok ms=5000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t, back = {}, {}
  for i = 1, 100000 do table.insert(t, (i * 7919) % 100003) end
  table.sort(t)
  for i = 1, 100000 do back[i] = tostring(table.remove(t)) end
  table.sort(back)
  for i = 1, 100000, 3 do t[#t + 1] = table.concat(back, ",", i, i) end
  op.metadata = {size = #table.concat(t, "\n"), names = table.concat(back, ","):len()}
  return next(op)
end}
