-- A JSON text of two megabytes, there and back.
-- expect: ok ms=5000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local json, list = require "holdfast.json", {}
  for i = 1, 20000 do list[i] = {name = "item " .. i, value = i / 4, text = ("x"):rep(60)} end
  local text = json.encode(list)
  local again = json.decode(text)
  assert(#again == 20000 and json.encode(again) == text)
  return next(op)
end}
