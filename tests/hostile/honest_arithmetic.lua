-- Computes with texts, as Lua does.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  assert("10" + 1 == 11 and "2" * "3" == 6 and -"2" == -2 and 10 .. "" == "10")
  return next(op)
end}
