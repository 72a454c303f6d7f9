-- Doubles a text and goes on at the cap.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = "x"
  while true do pcall(function() s = s .. s end) end
end}
