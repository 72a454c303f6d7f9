-- A schema of many long names, one of which is not met.
-- expect: invalid timeout load config={"none":1}
local schema = {}
for i = 1, 50000 do schema[("name"):rep(10) .. i] = {type = "text"} end
return {schema = schema, handle = function(op, next) return next(op) end}
