-- A result of ten thousand references to ten megabytes.
-- expect: badResult memory timeout any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local result = next(op)
  local message, many = result.message, {}
  message.content = ("x"):rep(10 << 20)
  for i = 1, 10000 do many[i] = message end
  return {op = "add", message = message, messages = many}
end}
