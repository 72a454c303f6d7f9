-- Short texts until there are no more.
-- expect: memory timeout memory=8
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  for i = 1, 1e9 do list[i] = "text " .. i end
end}
