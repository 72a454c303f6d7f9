-- __len that lies to table.unpack.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return table.unpack(setmetatable({}, {__len = function() return 1 << 40 end}))
end}
