-- A result that holds itself.
-- expect: badResult
return {ops = {"add"}, handle = function(op)
  if op.content ~= "attack" then return next(op) end
  local r = {op = "add"}
  r.message = r
  return r
end}
