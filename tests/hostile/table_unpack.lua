-- table.unpack of ranges without an end.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(table.unpack, {}, math.mininteger, math.maxinteger)
  pcall(table.unpack, {}, 1, 1e7 // 1)
  while true do pcall(function() return select("#", table.unpack({}, 1, 900000)) end) end
end}
