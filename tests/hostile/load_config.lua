-- Turns its configuration on itself.
-- expect: ok config={"a":{"b":[1,2,{"c":null}]}}
local config = ...
config.self = config
setmetatable(config, {__index = function() while true do end end})
return {ops = {"add"}, handle = function(op, next)
  if op.content == "attack" then op.metadata = {depth = #tostring(config)} end
  return next(op)
end}
