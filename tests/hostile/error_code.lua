-- Codes with control bytes, empty ones, long ones, and those of the library.
-- expect: _[31mred
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  pcall(error, {code = "", message = "x"})
  pcall(error, {code = ("x"):rep(1000), message = "x"})
  pcall(ctx.reject, ctx, ("x"):rep(100), "x")
  pcall(ctx.reject, ctx, "", "x")
  ctx:reject("\27[31mred", "a\nb\0c\27[2J")
end}
