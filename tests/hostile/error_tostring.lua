-- An error whose __tostring never ends.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  error(setmetatable({code = "x"}, {__tostring = function() while true do end end, __index = function() while true do end end}))
end}
