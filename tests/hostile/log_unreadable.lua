-- Gives the log fields that cannot be read, again and again: what was read in part must not pile up.
-- expect: timeout
return function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local text = ("x"):rep(1000000)
  while true do pcall(ctx.log, ctx, "info", "m", {x = {text, pairs}}) end
end
