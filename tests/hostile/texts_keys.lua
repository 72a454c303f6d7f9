-- Large texts as keys.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t, s = {}, ("x"):rep(4 << 20)
  while true do s = s:sub(2) .. "y"; t[s] = nil; local _ = t[s] end
end}
