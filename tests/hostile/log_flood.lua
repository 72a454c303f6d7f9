-- Logs without an end.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  while true do ctx:log("info", "line", {a = 1}) end
end}
