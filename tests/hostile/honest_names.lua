-- A table of sixty thousand names, and one that is filled from its end.
-- expect: ok ms=5000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local names, t = {}, {}
  for i = 1, 60000 do names["name " .. i] = i end
  for i = 60000, 1, -1 do t[i] = names["name " .. i] end
  op.metadata = {last = t[#t], three = ("x"):rep(3 << 20):upper():lower():reverse():len()}
  return next(op)
end}
