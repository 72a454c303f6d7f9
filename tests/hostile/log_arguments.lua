-- Logs what is no text.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  for _, value in ipairs {{}, ctx, true, setmetatable({}, {__tostring = function() while true do end end})} do
    pcall(ctx.log, ctx, "info", value)
    pcall(ctx.log, ctx, value, "x")
    pcall(ctx.log, ctx, "info", "x", value)
  end
  return next(op)
end}
