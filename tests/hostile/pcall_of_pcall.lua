-- Calls pcall through pcall as deep as it goes.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function deeper() return pcall(pcall, deeper) end
  deeper()
  error "done"
end}
