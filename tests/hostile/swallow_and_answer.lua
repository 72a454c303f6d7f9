-- Catches the error of the budget and then answers.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(function() while true do end end)
  return {op = "add", message = {}}
end}
