-- ctx:exec of cheap reads without an end.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  while true do pcall(ctx.exec, ctx, {op = "get", messageId = "m0"}) end
end}
