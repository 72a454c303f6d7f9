-- A weak table, by a field given later.
-- expect: memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local meta = {}
  local t = setmetatable({}, meta)
  meta.__mode, meta.__newindex = "kv", {}
  while true do pcall(function() t[{}] = ("x"):rep(1 << 20) .. #meta.__newindex; meta.__newindex[#meta.__newindex + 1] = {("y"):rep(1 << 20)} end) end
end}
