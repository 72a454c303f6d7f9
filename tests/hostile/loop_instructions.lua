-- Runs past its instructions long before its time.
-- expect: timeout instructions=1000000 ms=5000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  while true do end
end}
