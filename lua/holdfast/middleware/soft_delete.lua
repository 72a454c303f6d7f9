-- soft-delete: a deleted message stays in the store, marked, and the reads do not show it.
--
-- `delete` becomes an `update` that sets metadata.deletedAt (ms since 1970), and takes the text out of the search
-- index; `get`, `list` and `read` pass such messages over. Whoever reads the file, or a store without this layer,
-- still finds them. The attention of a conversation goes on counting them. Deleting a conversation deletes it
-- for good. No configuration.

local holdfast = require "holdfast"

local function is_deleted(message)
  return message ~= nil and message.metadata ~= nil and message.metadata.deletedAt ~= nil
end

local function answer(ctx, deleted, segments)
  return ctx:reply {deleted = deleted, segmentIds = holdfast.list(segments or {}), deletedSummaryIds = holdfast.list {}}
end

-- Reads page after page until more than `limit` messages are left over, or none are to come: a page of deleted
-- ones is no gap, and `hasMore` speaks of the others.
local function list(op, next, ctx)
  local limit, result = op.limit or 100, next(op)
  local kept, page = {}, result
  while true do
    local forward, fresh = op.after ~= nil, {}
    for _, message in ipairs(page.messages) do
      if not is_deleted(message) then fresh[#fresh + 1] = message end
    end
    if forward then
      table.move(fresh, 1, #fresh, #kept + 1, kept)
    else
      table.move(kept, 1, #kept, #fresh + 1, fresh)
      kept = fresh
    end
    if #kept > limit or not page.hasMore then break end
    local before, after = op.before, op.after
    if forward then after = page.messages[#page.messages].id else before = page.messages[1].id end
    page = ctx:exec {
      op = "list", conversationId = op.conversationId, limit = limit, states = op.states, before = before, after = after,
    }
  end
  local surplus = #kept > limit
  if surplus then
    local first = op.after and 1 or #kept - limit + 1
    kept = table.move(kept, first, first + limit - 1, 1, {})
  end
  return ctx:reply {messages = holdfast.list(kept), hasMore = surplus}
end

return {
  name = "soft-delete",
  schema = {},
  on = {
    delete = function(op, next, ctx)
      local message = ctx:exec({op = "get", messageId = op.messageId}).message
      if message == nil or is_deleted(message) then return answer(ctx, false) end
      next {op = "update", messageId = op.messageId, updates = {deletedAt = ctx:now()}}
      if message.state ~= "final" then return answer(ctx, true) end
      ctx:exec {op = "updateContent", messageId = op.messageId, content = message.content, index = false}
      return answer(ctx, true, {op.messageId})
    end,
    read = function(op, next, ctx)
      if is_deleted(ctx:exec({op = "get", messageId = op.messageId}).message) then
        ctx:reject("notFound", ("message %q was deleted"):format(op.messageId))
      end
      return next(op)
    end,
    get = function(op, next, ctx)
      local result = next(op)
      if is_deleted(result.message) then return ctx:reply {} end
      return result
    end,
    list = list,
  },
}
