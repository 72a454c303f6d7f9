-- Asks for a gigabyte until it gets it.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do pcall(string.rep, "x", 1 << 30) end
end}
