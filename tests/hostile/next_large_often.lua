-- Calls next again and again with ten megabytes.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local content = ("x"):rep(10 << 20)
  while true do pcall(next, {op = "updateContent", messageId = "none", content = content}) end
end}
