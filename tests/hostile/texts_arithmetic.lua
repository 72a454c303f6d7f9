-- Computes with very long numbers as texts.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("1"):rep(8 << 20)
  while true do local _ = s + 1 end
end}
