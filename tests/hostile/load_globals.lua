-- Fills memory with its globals while it is loaded, and does nothing wrong.
-- expect: ok memory=16 ms=2000
for i = 1, 130 do _G["text" .. i] = ("x"):rep(100000) .. i end
return {ops = {"add"}, handle = function(op, next)
  if op.content == "attack" then op.metadata = {large = #("y"):rep(1 << 19)} end
  return next(op)
end}
