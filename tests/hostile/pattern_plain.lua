-- A plain search for half of a large text.
-- expect: timeout memory ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("a"):rep(16 << 20)
  for _ = 1, 100 do pcall(string.find, s, s:sub(1, 8 << 20) .. "b", 1, true) end
  return next(op)
end}
