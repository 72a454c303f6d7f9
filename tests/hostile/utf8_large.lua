-- utf8 functions over a large text of continuation bytes.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = "a" .. ("\x80"):rep(16 << 20)
  local step = utf8.codes "a"
  while true do
    pcall(utf8.len, s, 1, -1, true)
    pcall(utf8.offset, s, -1)
    pcall(utf8.offset, s, 0)
    pcall(utf8.codepoint, s, 1, -1)
    pcall(step, s, 1)
  end
end}
