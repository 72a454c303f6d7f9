-- string.unpack, byte and char with a million values.
-- expect: timeout memory middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("x"):rep(900000)
  while true do
    pcall(function() return string.char(s:byte(1, -1)) end)
    pcall(string.unpack, ("b"):rep(900000), s)
  end
end}
