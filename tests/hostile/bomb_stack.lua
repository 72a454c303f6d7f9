-- Fills the Lua stack.
-- expect: middleware memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function f(...) return 1 + f(1, ...) end
  return f()
end}
