-- table.move over a range without an end.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return table.move({}, 1, math.maxinteger - 1, 2)
end}
