-- os.date with formats as long as memory.
-- expect: timeout memory middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do pcall(os.date, ("%c"):rep(1 << 20)); pcall(os.date, "%Ex"); os.date("*t", 1 << 62) end
end}
