-- memory: answers every op from a table, and the database is never touched.
--
-- For specs, and as the pattern of a layer that redirects a store to somewhere else. What it keeps lives
-- in ctx.state, as long as the store is open, and is not part of any transaction. No configuration.

local holdfast = require "holdfast"

local function fail(code, ...)
  error({code = code, message = string.format(...)}, 0)
end

local function merge(metadata, updates)
  local merged = {}
  for key, value in pairs(metadata or {}) do merged[key] = value end
  for key, value in pairs(updates or {}) do merged[key] = value end
  return next(merged) ~= nil and merged or metadata or updates
end

local function copy(row)
  local fields = {}
  for key, value in pairs(row) do fields[key] = value end
  return fields
end

-- The state: rows by id, and the order in which they came.
local function state_of(ctx)
  local state = ctx.state
  if state.messages == nil then
    state.messages, state.conversations = {}, {}
    state.order, state.conversation_order = {}, {}
    state.clock = 0
  end
  return state
end

local function tick(state, ctx)
  state.clock = math.max(ctx:now(), state.clock + 1)
  return state.clock
end

local function conversation_of(state, op)
  local conversation = state.conversations[op.conversationId]
  return conversation or fail("notFound", "there is no conversation \"%s\"", op.conversationId)
end

local function message_of(state, op)
  local message = state.messages[op.messageId]
  return message or fail("notFound", "there is no message \"%s\"", op.messageId)
end

local function remove(order, id)
  for i, other in ipairs(order) do
    if other == id then return table.remove(order, i) end
  end
end

local function touch(state, conversation, time)
  conversation.updatedAt = time
  remove(state.conversation_order, conversation.id)
  table.insert(state.conversation_order, conversation.id)
end

-- The rows of a page: `rows` in order, the newest `limit` of them, or the oldest behind `after`.
local function page(rows, op)
  local first, last = 1, #rows
  local function position(id)
    for i, row in ipairs(rows) do
      if row.id == id then return i end
    end
    fail("notFound", "there is no row \"%s\" to page from", id)
  end
  if op.before then last = position(op.before) - 1 end
  if op.after then first = position(op.after) + 1 end
  local limit, more = op.limit or 100, false
  if last - first + 1 > limit then
    more = true
    if op.after then last = first + limit - 1 else first = last - limit + 1 end
  end
  local found = {}
  for i = first, last do found[#found + 1] = copy(rows[i]) end
  return holdfast.list(found), more
end

local answers = {}

local function store_message(op, state, ctx, content, message_state)
  local conversation = conversation_of(state, op)
  local stored = state.messages[op.messageId]
  for _, id in ipairs(op.clientMessageId and state.order or {}) do
    local other = state.messages[id]
    if other.conversationId == op.conversationId and other.clientMessageId == op.clientMessageId then
      stored = other
    end
  end
  if stored then
    if stored.conversationId ~= op.conversationId or stored.role ~= op.role then
      fail("conflict", "message \"%s\" exists with another conversation or role", stored.id)
    end
    return {message = copy(stored), deduplicated = true}
  end
  local message = {
    id = op.messageId, conversationId = op.conversationId, role = op.role, content = content,
    createdAt = tick(state, ctx), state = message_state, metadata = op.metadata,
    clientMessageId = op.clientMessageId,
  }
  state.messages[message.id] = message
  table.insert(state.order, message.id)
  conversation.lastMessageAt = message.createdAt
  conversation.originChannel = conversation.originChannel or (op.metadata and op.metadata.userMessageChannel)
  touch(state, conversation, message.createdAt)
  return {message = copy(message)}
end

function answers.createConversation(op, state, ctx)
  local conversation = state.conversations[op.conversationId]
  if conversation == nil then
    local now = tick(state, ctx)
    conversation = {id = op.conversationId, title = op.title, originChannel = op.originChannel, createdAt = now,
                    updatedAt = now, metadata = op.metadata}
    state.conversations[conversation.id] = conversation
    table.insert(state.conversation_order, conversation.id)
  end
  return {conversation = copy(conversation)}
end

function answers.updateConversation(op, state, ctx)
  local conversation = conversation_of(state, op)
  conversation.title = op.title or conversation.title
  conversation.originChannel = op.originChannel or conversation.originChannel
  conversation.metadata = merge(conversation.metadata, op.updates)
  touch(state, conversation, tick(state, ctx))
  return {conversation = copy(conversation)}
end

function answers.deleteConversation(op, state)
  conversation_of(state, op)
  local kept, deleted = {}, 0
  for _, id in ipairs(state.order) do
    if state.messages[id].conversationId == op.conversationId then
      state.messages[id] = nil
      deleted = deleted + 1
    else
      kept[#kept + 1] = id
    end
  end
  state.order = kept
  state.conversations[op.conversationId] = nil
  remove(state.conversation_order, op.conversationId)
  return {deletedMessages = deleted, segmentIds = holdfast.list {}}
end

function answers.add(op, state, ctx)
  return store_message(op, state, ctx, op.content, "final")
end

function answers.reserve(op, state, ctx)
  return store_message(op, state, ctx, "[]", "reserved")
end

function answers.updateContent(op, state)
  local message = message_of(state, op)
  message.content, message.state = op.content, "final"
  return {}
end

function answers.update(op, state)
  local message = message_of(state, op)
  message.metadata = merge(message.metadata, op.updates)
  return {}
end

function answers.delete(op, state)
  local message = state.messages[op.messageId]
  if message then
    state.messages[op.messageId] = nil
    remove(state.order, op.messageId)
    local conversation = state.conversations[message.conversationId]
    conversation.lastMessageAt = nil
    for _, id in ipairs(state.order) do
      local other = state.messages[id]
      if other.conversationId == conversation.id then conversation.lastMessageAt = other.createdAt end
    end
  end
  return {deleted = message ~= nil, segmentIds = holdfast.list {}, deletedSummaryIds = holdfast.list {}}
end

function answers.get(op, state)
  local message = state.messages[op.messageId]
  return {message = message and copy(message)}
end

function answers.list(op, state)
  conversation_of(state, op)
  local wanted, rows = {}, {}
  for _, name in ipairs(op.states or {}) do wanted[name] = true end
  for _, id in ipairs(state.order) do
    local message = state.messages[id]
    local fits = op.states == nil or wanted[message.state] or id == op.before or id == op.after
    if message.conversationId == op.conversationId and fits then rows[#rows + 1] = message end
  end
  local messages, more = page(rows, op)
  return {messages = messages, hasMore = more}
end

function answers.getConversation(op, state)
  local conversation = state.conversations[op.conversationId]
  return {conversation = conversation and copy(conversation)}
end

function answers.listConversations(op, state)
  local rows = {}
  for _, id in ipairs(state.conversation_order) do rows[#rows + 1] = state.conversations[id] end
  local oldest_first, more = page(rows, op)
  local newest_first = {}
  for i = #oldest_first, 1, -1 do newest_first[#newest_first + 1] = oldest_first[i] end
  return {conversations = holdfast.list(newest_first), hasMore = more}
end

function answers.batch(op, state, ctx)
  local results = {}
  for i, inner in ipairs(op.ops) do
    results[i] = answers[inner.op](inner, state, ctx)
    results[i].op = inner.op
  end
  return {results = holdfast.list(results)}
end

return {
  name = "memory",
  schema = {},
  ops = "*",
  handle = function(op, _, ctx)
    local answer = answers[op.op]
    if answer == nil then fail("invalid", "memory has no answer to \"%s\"", op.op) end
    return ctx:reply(answer(op, state_of(ctx), ctx))
  end,
}
