-- lower, upper, reverse of a large text.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("x"):rep(8 << 20)
  while true do s:lower(); s:upper(); s:reverse() end
end}
