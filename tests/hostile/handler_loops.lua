-- An error handler that never ends.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  xpcall(error, function() while true do end end)
  return next(op)
end}
