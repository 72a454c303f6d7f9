-- Leaves just enough time for the next layer to be the one that fails.
-- expect: timeout ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local begun = os.clock()
  while os.clock() - begun < 0.249 do pcall(error) end
  return next(op)
end}
