-- The metatable of texts, by all ways.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(function() getmetatable("").__index = {} end)
  pcall(function() rawset(getmetatable(""), "__index", function() return "leaked" end) end)
  pcall(setmetatable, "", {__index = {leaked = 1}})
  pcall(function() ("x").leaked = 1 end)
  pcall(function() string.rep = function() return "leaked" end; string.leaked = 1 end)
  pcall(rawset, string, "upper", function() return "leaked" end)
  return next(op)
end}
