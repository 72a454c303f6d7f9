-- gsub that makes a megabyte of each byte.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return (("x"):rep(1e5):gsub("x", ("y"):rep(1 << 20)))
end}
