-- Small tables until there are no more.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  while true do list = {list} end
end}
