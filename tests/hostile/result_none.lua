-- Neither answers nor hands on.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  op.content = "lost"
end}
