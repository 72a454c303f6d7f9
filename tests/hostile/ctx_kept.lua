-- Uses ctx and next of an op that has ended.
-- expect: ok
local kept = {}

return {ops = {"add"}, handle = function(op, next, ctx)
  for _, use in ipairs(kept) do
    if pcall(use) then error "what was kept still works" end
  end
  kept = {function() return next(op) end, function() return ctx.state end, function() return ctx:exec(op) end,
          function() ctx:log("info", "x") end, function() ctx:afterCommit(error) end}
  return next(op)
end}
