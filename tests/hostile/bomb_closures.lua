-- Closures until there are no more.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local f = function() end
  while true do local g = f; f = function() return g end end
end}
