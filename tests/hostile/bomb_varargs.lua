-- A million arguments, handed on and on.
-- expect: memory timeout middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function on(...) return on(0, ...) end
  local list = {}
  for i = 1, 900000 do list[i] = i end
  while true do pcall(on, table.unpack(list)) end
end}
