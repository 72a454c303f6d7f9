-- A comparator that sorts.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function less() table.sort({1, 2, 3}, less) end
  table.sort({1, 2, 3}, less)
end}
