-- The empty text, very often.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local _ = (""):rep(1 << 62)
  return next(op)
end}
