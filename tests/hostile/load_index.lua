-- Returns a table whose fields are made when they are asked for.
-- expect: invalid load
local text = ""
return setmetatable({}, {__index = function(_, key)
  for _ = 1, 100 do text = (text .. "x"):sub(1, 100) end
  if key == "name" then return "made-" .. ("up"):rep(10) end
  if key == "handle" then return function(op, next) return next(op) end end
end})
