-- The same, behind a call that makes texts and fails.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(string.upper)
  pcall(string.rep, "x", 1 << 62)
  local t, step = {}, (1 << 20) - 1
  for i = 1, (1 << 19) + 1 do t[i * step] = true end
  return next(op)
end}
