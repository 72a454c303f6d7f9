-- __call of __call of __call.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = print or {}
  for _ = 1, 1e5 do t = setmetatable({}, {__call = t}) end
  return t()
end}
