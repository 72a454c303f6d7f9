-- Compares large texts.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local a, b = ("x"):rep(8 << 20) .. "a", ("x"):rep(8 << 20) .. "b"
  while a < b and a ~= b do pcall(error) end
end}
