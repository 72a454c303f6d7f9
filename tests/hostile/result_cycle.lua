-- A result that holds itself.
-- expect: badResult any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local r = {op = "add"}
  r.message = r
  return r
end}
