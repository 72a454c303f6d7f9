-- An error handler that raises, whose error has a handler that raises.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function handler() error(setmetatable({}, {__tostring = function() error "again" end})) end
  xpcall(function() xpcall(error, handler, "first") end, handler)
end}
