-- table.move of a million nils, very often.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do table.move({}, 1, 1000000, 2) end
end}
