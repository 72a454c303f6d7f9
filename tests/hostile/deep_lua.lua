-- Calls itself as deep as it goes, and again.
-- expect: timeout memory middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function f(n) return n + f(n + 1) end
  while true do pcall(f, 1) end
end}
