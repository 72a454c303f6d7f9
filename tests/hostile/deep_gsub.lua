-- gsub in gsub in gsub.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function f(s) return (s:gsub(".", f)) end
  return f "x"
end}
