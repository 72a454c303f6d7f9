-- Keeps the memory full and goes on asking for little.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  pcall(function() for i = 1, 1e9 do list[i] = {} end end)
  while true do pcall(function() return {} end) end
end}
