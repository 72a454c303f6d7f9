-- Goes past its budget after next has stored the message.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local result = next(op)
  pcall(function() while true do end end)
  return result
end}
