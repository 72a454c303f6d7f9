-- string.format with a large text in many places.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local part = ("x"):rep(1 << 20)
  return string.format(("%s"):rep(200), table.unpack(setmetatable({}, nil) and (function()
    local t = {}
    for i = 1, 200 do t[i] = part end
    return t
  end)()))
end}
