-- Metadata of half a million values through ctx:exec, again and again.
-- expect: timeout memory any
return {ops = {"add"}, handle = function(op, next, ctx)
  if op.content ~= "attack" then return next(op) end
  local list = {}
  for i = 1, 500000 do list[i] = 1 end
  while true do pcall(ctx.exec, ctx, {op = "update", messageId = "m0", updates = {list = list}}) end
end}
