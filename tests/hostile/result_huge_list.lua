-- A list answered with ten thousand references to ten megabytes.
-- expect: ok
return {on = {
  add = function(op, next, ctx)
    if op.content == "attack" then
      local ok, e = pcall(ctx.exec, ctx, {op = "list", conversationId = "c1"})
      if not ok then error(e) end
    end
    return next(op)
  end,
  list = function(op, next)
    local result = next(op)
    local message, many = result.messages[1], {}
    message.content = ("x"):rep(10 << 20)
    for i = 1, 10000 do many[i] = message end
    result.messages = many
    return result
  end,
}}
