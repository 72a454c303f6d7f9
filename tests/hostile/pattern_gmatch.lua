-- gmatch of nothing over a large text, in the default loop.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local n = 0
  for _ = 1, 100 do for _ in (("x"):rep(16 << 20)):gmatch "" do n = n + 1 end end
end}
