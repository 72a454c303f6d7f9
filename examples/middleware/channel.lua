-- Marks each new message with the channel that it came through, so that the conversation remembers where
-- it began. It rewrites: the op that goes on bears more metadata than the one that came.
--
-- config.channel   the channel where the caller names none (default "cli")
--
-- A host names the channel of one op in its context: {"op":"add", ..., "ctx":{"channel":"phone"}}.
-- Metadata that names a channel already is left alone.

local config = ...
local default = config and config.channel or "cli"

local function mark(op, next, ctx)
  op.metadata = op.metadata or {}
  if op.metadata.userMessageChannel == nil then
    op.metadata.userMessageChannel = ctx.channel or default
  end
  return next(op)
end

return {name = "channel", on = {add = mark, reserve = mark}}
