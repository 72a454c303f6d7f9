-- Sorts equal texts of a megabyte, in the default order.
-- expect: timeout instructions=1000000000000000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local part, t = ("x"):rep(1 << 20), {}
  for i = 1, 20000 do t[i] = part end
  table.sort(t)
end}
