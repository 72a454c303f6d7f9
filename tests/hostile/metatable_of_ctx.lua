-- The metatable of ctx, of lists, of errors.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local holdfast = require "holdfast"
  for _, value in ipairs {ctx, holdfast.list {}, select(2, pcall(ctx.exec, ctx, {})), holdfast.null} do
    pcall(function() getmetatable(value).__index = function() while true do end end end)
    pcall(setmetatable, value, {})
    pcall(function() rawset(getmetatable(value), "__index", "x") end)
  end
  pcall(function() ctx.exec = nil end)
  pcall(rawset, ctx, "exec", nil)
  return next(op)
end}
