-- A retry that catches an error from below, and logs it.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local ok, e = pcall(next, {op = "update", messageId = "none", updates = {}})
  if not ok then ctx:log("warn", "again", {code = e.code}) end
  ctx:afterCommit(function() ctx:log("info", "stored") end)
  return next(op)
end}
