-- Changes an error of another layer while it travels.
-- expect: notFound middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local ok, e = pcall(next, {op = "update", messageId = "none", updates = {}})
  if not ok then
    pcall(setmetatable, e, {__index = function() while true do end end})
    e.traceback, e.code, e.sqliteCode, e.layer = ("x"):rep(1 << 20), "middleware", "x", nil
    e[1] = e
  end
  error("mine " .. tostring(e):sub(1, 10))
end}
