-- table.concat with a separator of a megabyte.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  for i = 1, 10000 do list[i] = "" end
  return table.concat(list, ("x"):rep(1 << 20))
end}
