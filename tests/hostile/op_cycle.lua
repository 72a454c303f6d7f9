-- An op whose metadata holds itself.
-- expect: invalid any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  op.metadata = {}
  op.metadata.self = op.metadata
  return next(op)
end}
