-- Lazy repetitions of everything.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return (("a"):rep(20000):match ".-.-.-.-b")
end}
