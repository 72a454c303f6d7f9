-- __len that lies to the table functions.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = setmetatable({}, {__len = function() return math.maxinteger end, __index = function() return "x" end})
  return table.concat(t)
end}
