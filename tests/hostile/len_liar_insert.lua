-- __len that lies to table.insert.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, "x")
end}
