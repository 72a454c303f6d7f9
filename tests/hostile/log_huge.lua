-- Logs a record of ten megabytes, with control bytes.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  ctx:log("info", ("\27[2J\n"):rep(2 << 20), {a = ("x"):rep(500000)})
  ctx:log("warn", "ill-formed \xff\xfe \0 hidden", {b = "x"})
  for _ = 1, 1000 do pcall(ctx.log, ctx, "error", ("y"):rep(1000)) end
  return next(op)
end}
