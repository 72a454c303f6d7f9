-- string.pack of two gigabytes of padding.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return string.pack("c2147483647", "x")
end}
