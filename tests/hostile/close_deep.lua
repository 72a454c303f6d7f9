-- A __close at each of very many levels.
-- expect: timeout middleware memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local meta = {__close = function() while true do end end}
  local function level(n)
    local c <close> = setmetatable({}, meta)
    return level(n + 1) + 1
  end
  level(0)
end}
