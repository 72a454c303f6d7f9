-- An error handler that raises in a handler of its own, as deep as it goes.
-- expect: timeout middleware depth
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function handler(e) return (select(2, xpcall(error, handler, e))) end
  xpcall(error, handler, "first")
  error "last"
end}
