-- A function after the commit that registers itself.
-- expect: ok
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local function again() ctx:afterCommit(again); ctx:afterCommit(again); ctx:exec(op); return next(op) end
  ctx:afterCommit(again)
  return next(op)
end}
