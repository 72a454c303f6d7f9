-- The right trim of a megabyte of blanks.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  return ((" "):rep(1 << 20) .. "x"):match "^(.-)%s*$" .. ((" "):rep(1 << 20) .. "x"):gsub("%s+$", "")
end}
