-- Reads very long numbers.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("1"):rep(8 << 20)
  while true do tonumber(s); tonumber(s, 10); tonumber("0x" .. s) end
end}
