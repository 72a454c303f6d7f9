-- An error table that holds itself.
-- expect: loop
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local e = {code = "loop"}
  e.message, e.self, e.cause = e, e, {e}
  error(e)
end}
