-- A finalizer, given at once.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  setmetatable({}, {__gc = function() while true do end end})
end}
