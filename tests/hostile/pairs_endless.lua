-- __pairs gives an iterator that never ends.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local endless = setmetatable({}, {__pairs = function() return function() return 1, 1 end end})
  for _ in pairs(endless) do endless.x = 1 end
end}
