-- Asks for the same op four million times.
-- expect: ok
local ops = {}
for i = 1, 200000 do ops[i] = "add" end
return {ops = ops, handle = function(op, next) return next(op) end}
