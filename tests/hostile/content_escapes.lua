-- A content that takes six times its size as JSON, where it is told.
-- expect: middleware timeout memory any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  op.content = ("\1"):rep(30 << 20)
  next(op)
  error "enough"
end}
