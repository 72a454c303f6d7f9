-- A __close that goes on when the budget is spent.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local c <close> = setmetatable({}, {__close = function() pcall(next, op) while true do pcall(error) end end})
  while true do pcall(error) end
end}
