-- Doubles a text.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = "x"
  while true do s = s .. s end
end}
