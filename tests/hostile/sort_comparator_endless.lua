-- A comparator that never ends.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  table.sort({3, 2, 1}, function() while true do end end)
end}
