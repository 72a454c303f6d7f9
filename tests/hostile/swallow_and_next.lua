-- Catches the error of the budget and then calls next.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(function() while true do end end)
  local ok, result = pcall(next, op)
  return ok and result or nil
end}
