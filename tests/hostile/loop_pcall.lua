-- Catches the error of the budget, over and over.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do pcall(function() while true do end end) end
end}
