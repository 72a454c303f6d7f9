-- string.format in __tostring in string.format.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t
  t = setmetatable({}, {__tostring = function() return ("%s"):format(t) end})
  return ("%s"):format(t)
end}
