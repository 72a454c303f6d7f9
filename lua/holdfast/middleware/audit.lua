-- audit: one record in the host's log for every op, with who and what, and never a message's text.
--
-- Configuration (all optional):
--   ops    list of names of ops to record; default: all of them, reads included
--   level  "debug", "info", "warn" or "error"; default "info"
--
-- A record: message "op", fields op, outcome ("ok", or the error's code), ms, and where the op has them
-- messageId, conversationId, role, bytes (of the content or delta), ops (how many in a batch), requestId.

local config = ...
local levels = {debug = true, info = true, warn = true, error = true}

if not levels[config.level or "info"] then
  error(('level: expected "debug", "info", "warn" or "error", found "%s"'):format(config.level), 0)
end

return {
  name = "audit",
  schema = {
    ops = {type = "list", doc = "names of ops to record"},
    level = {type = "text", default = "info", doc = "debug, info, warn or error"},
  },
  ops = config.ops or "*",
  handle = function(op, next, ctx)
    local started = ctx:now()
    local text = op.content or op.delta
    local record = {
      op = op.op,
      messageId = op.messageId,
      conversationId = op.conversationId,
      role = op.role,
      bytes = text and #text,
      ops = op.ops and #op.ops,
      requestId = ctx.requestId,
    }
    local good, result = pcall(next, op)
    record.outcome = good and "ok" or (type(result) == "table" and result.code or "middleware")
    record.ms = ctx:now() - started
    ctx:log(config.level, "op", record)
    if not good then error(result, 0) end
    return result
  end,
}
