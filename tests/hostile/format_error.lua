-- The same for an error of the engine's, whose message a script may set.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local _, err = pcall(next, {op = "update", messageId = "none", updates = {}})
  err.message = ("x"):rep(5 << 20)
  local many = {}
  for i = 1, 10000 do many[i] = err end
  string.format(("%.1s"):rep(#many), table.unpack(many))
end}
