-- ctx as an error, null as an error, nil as an error.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  pcall(error, ctx)
  pcall(error, require "holdfast".null)
  pcall(error, nil)
  error(ctx)
end}
