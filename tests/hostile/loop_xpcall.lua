-- Catches the error of the budget with a handler.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do xpcall(function() while true do end end, function() end) end
end}
