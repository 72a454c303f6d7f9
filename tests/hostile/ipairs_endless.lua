-- ipairs over a table without an end.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  for _ in ipairs(setmetatable({}, {__index = function(_, i) return i end})) do pcall(error) end
end}
