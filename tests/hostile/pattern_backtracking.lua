-- A pattern that goes back for ever.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return (("a"):rep(5000):find(("a?"):rep(30) .. ("a"):rep(30) .. ".-.-.-b"))
end}
