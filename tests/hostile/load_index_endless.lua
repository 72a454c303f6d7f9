-- Returns a table whose fields never come.
-- expect: timeout invalid load
return setmetatable({}, {__index = function() while true do end end})
