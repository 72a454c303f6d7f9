-- gsub that repeats its match a thousand times, again and again.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = "x"
  while true do s = s:gsub(".+", ("%0"):rep(1000)) end
end}
