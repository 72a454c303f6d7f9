-- Sorts texts of ten megabytes, each a number, by a function of the library's.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("0"):rep(10 << 20) .. "1"
  local t = {}
  for i = 1, 1000 do t[i] = s end
  table.sort(t, math.ult)
end}
