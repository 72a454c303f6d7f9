-- An error handler that never ends, for the error of the budget.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  xpcall(function() while true do end end, function() while true do end end)
  return next(op)
end}
