-- %b over an unbalanced text from each of its places.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return (("("):rep(1 << 20):find "%b()")
end}
