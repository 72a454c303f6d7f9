-- Content that is no text.
-- expect: invalid any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  op.content = "\xff\xfe\0"
  return next(op)
end}
