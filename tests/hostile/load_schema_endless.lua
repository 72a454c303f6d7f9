-- A schema whose rules are made when they are asked for.
-- expect: timeout load config={"a":1}
return {schema = {a = setmetatable({}, {__index = function() while true do end end})},
        handle = function(op, next) return next(op) end}
