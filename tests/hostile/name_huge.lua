-- A __name of ten megabytes in a message.
-- expect: middleware memory timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = setmetatable({}, {__name = ("\27[31m"):rep(2e6)})
  local _ = tostring(t)
  string.rep(t)
end}
