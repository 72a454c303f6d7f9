-- Calls next a million times after it has succeeded.
-- expect: ok timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local result = next(op)
  for _ = 1, 1e6 do pcall(next, op) end
  return result
end}
