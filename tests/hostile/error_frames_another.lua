-- An error that names another layer.
-- expect: framed
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  error {code = "framed", message = "it was not me", layer = "witness-inner", op = "delete"}
end}
