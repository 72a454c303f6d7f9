-- memory: answers every op from tables, and the database is never touched.
--
-- For specs, and as the pattern of a layer that redirects a store to somewhere else. What it keeps lives
-- in ctx.state, as long as the store is open, and is not part of any transaction; only a batch that fails
-- leaves nothing behind. `search` knows plain words, all of which a message must have. No configuration.

local holdfast = require "holdfast"
local rows = require "holdfast.middleware.memory.rows"
local text = require "holdfast.middleware.memory.text"

local fail, list, copy = rows.fail, holdfast.list, rows.copy

local answers = {}

-- ---- The ops that write ----

function answers.createConversation(op, state, ctx)
  local conversation = state.conversations[op.conversationId] or rows.add_conversation(state, ctx, {
    id = op.conversationId, title = op.title, originChannel = op.originChannel, metadata = copy(op.metadata),
  })
  return {conversation = rows.show_conversation(conversation)}
end

function answers.updateConversation(op, state, ctx)
  local conversation = rows.conversation(state, op.conversationId)
  local row = conversation.row
  rows.change_conversation(state, conversation, {
    title = op.title, originChannel = op.originChannel, metadata = op.updates and rows.merge(row.metadata, op.updates),
    updatedAt = rows.tick(state, ctx, row.updatedAt),
  })
  return {conversation = rows.show_conversation(conversation)}
end

function answers.deleteConversation(op, state)
  local removed, segments = rows.remove_conversation(state, rows.conversation(state, op.conversationId))
  return {deletedMessages = removed, segmentIds = list(segments)}
end

-- `add` and `reserve`.
local function store_message(op, state, ctx, content, message_state, indexed)
  local conversation = rows.conversation(state, op.conversationId)
  local stored = op.clientMessageId and conversation.clients[op.clientMessageId]
  if not stored then
    stored = state.messages[op.messageId]
    if stored and (stored.row.conversationId ~= op.conversationId or stored.row.role ~= op.role) then
      fail("conflict", "message \"%s\" exists with another conversation or role", op.messageId)
    end
  end
  if stored then return {message = rows.show_message(stored), deduplicated = true} end
  local message = rows.add_message(state, ctx, conversation, {
    id = op.messageId, role = op.role, content = content, state = message_state, metadata = copy(op.metadata),
    clientMessageId = op.clientMessageId,
  }, indexed)
  local channel = op.metadata and op.metadata.userMessageChannel
  if conversation.row.originChannel == nil and type(channel) == "string" then
    rows.change_conversation(state, conversation, {originChannel = channel})
  end
  return {message = rows.show_message(message)}
end

function answers.add(op, state, ctx)
  return store_message(op, state, ctx, op.content, "final", not (op.addOptions and op.addOptions.skipIndexing))
end

function answers.reserve(op, state, ctx)
  return store_message(op, state, ctx, "[]", "reserved", false)
end

function answers.append(op, state)
  local message = rows.message(state, op.messageId)
  local seq, found = message.seq, message.row.state
  if found ~= "reserved" and found ~= "streaming" then
    fail("conflict", "message \"%s\" is %s: expected one that is still written", op.messageId, found)
  end
  local again = op.seq == seq and message.deltas[seq] == op.delta
  if not again then
    if op.seq and op.seq ~= seq + 1 then fail("conflict", "seq: expected %d, found %d", seq + 1, op.seq) end
    rows.append(state, message, op.delta)
  end
  return {seq = message.seq, length = message.length}
end

function answers.updateContent(op, state)
  rows.finish(state, rows.message(state, op.messageId), op.content, op.index ~= false)
  return {}
end

function answers.abort(op, state)
  local message = rows.message(state, op.messageId)
  local found = message.row.state
  if found == "final" then fail("conflict", "message \"%s\" is final", op.messageId) end
  if found ~= "aborted" then
    rows.change_message(state, message, {
      state = "aborted", metadata = op.reason and rows.merge(message.row.metadata, {abortReason = op.reason}),
    })
  end
  return {message = rows.show_message(message)}
end

function answers.update(op, state)
  local message = rows.message(state, op.messageId)
  rows.change_message(state, message, {metadata = rows.merge(message.row.metadata, op.updates)})
  return {}
end

function answers.delete(op, state)
  local message = state.messages[op.messageId]
  if message then rows.remove_message(state, message) end
  local segments = {message and message.text and op.messageId or nil}
  return {deleted = message ~= nil, segmentIds = list(segments), deletedSummaryIds = list {}}
end

-- The message of the conversation that an op names, or its newest final one.
local function through(conversation, id)
  if id == nil then return rows.newest_final(conversation) end
  return rows.message_within(conversation, id)
end

function answers.markSeen(op, state)
  local conversation = rows.conversation(state, op.conversationId)
  local message = through(conversation, op.messageId)
  if message then rows.see(state, conversation, message) end
  return {attention = rows.attention(conversation) or {unseen = false}}
end

function answers.fork(op, state, ctx)
  local source = rows.conversation(state, op.conversationId)
  local row = source.row
  if row.metadata and row.metadata.private == true then fail("denied", "conversation \"%s\" is private", row.id) end
  local last = through(source, op.throughMessageId)
  if last and last.row.state ~= "final" then fail("conflict", "message \"%s\" is %s", last.row.id, last.row.state) end
  local fork = rows.add_conversation(state, ctx, {
    id = ctx:uuid(), title = op.title or row.title, originChannel = row.originChannel, metadata = copy(row.metadata),
    forkParentConversationId = row.id, forkParentMessageId = last and last.row.id,
  })
  for i = 1, last and rows.place(source, last.row.id) or 0 do
    local message = source.messages[i]
    if message and message.row.state == "final" then
      local from = message.row
      rows.see(state, fork, rows.add_message(state, ctx, fork, {
        id = ctx:uuid(), role = from.role, content = from.content, state = "final", clientMessageId = from.clientMessageId,
        metadata = rows.merge(from.metadata, {forkSourceMessageId = from.id}),
      }, message.text))
    end
  end
  return {conversation = rows.show_conversation(fork)}
end

-- ---- The ops that read ----

function answers.get(op, state)
  local message = state.messages[op.messageId]
  return {message = message and rows.show_message(message)}
end

function answers.list(op, state)
  local conversation = rows.conversation(state, op.conversationId)
  local messages, wanted, found, more = conversation.messages, {}, {}, false
  for _, name in ipairs(op.states or {}) do wanted[name] = true end
  local first = op.after and rows.place(conversation, op.after) + 1 or 1
  local last = op.before and rows.place(conversation, op.before) - 1 or #messages
  local from, to, step = last, first, -1
  if op.after then from, to, step = first, last, 1 end
  for i = from, to, step do
    local message = messages[i]
    if message and (op.states == nil or wanted[message.row.state]) then
      more = #found == (op.limit or 100)
      if more then break end
      found[#found + 1] = rows.show_message(message)
    end
  end
  for i = 1, step < 0 and #found // 2 or 0 do found[i], found[#found + 1 - i] = found[#found + 1 - i], found[i] end
  return {messages = list(found), hasMore = more}
end

function answers.read(op, state)
  local message = rows.message(state, op.messageId)
  local deltas = {}
  for seq = (op.after or 0) + 1, message.deltas and message.seq or 0 do
    deltas[#deltas + 1] = {seq = seq, delta = message.deltas[seq]}
  end
  return {deltas = list(deltas), state = message.row.state, seq = message.seq}
end

local function is_newer(one, other) return one.place > other.place end

function answers.search(op, state)
  local words = text.words(op.query)
  if words == nil then fail("invalid", "query: expected plain words, found \"%s\"", op.query) end
  local searched, found, hits = state.conversations, {}, {}
  if op.conversationId then searched = {rows.conversation(state, op.conversationId)} end
  for _, conversation in pairs(searched) do
    for _, message in ipairs(conversation.messages) do
      if message and message.text and text.has(message.text, words) then found[#found + 1] = message end
    end
  end
  table.sort(found, is_newer)
  for i = 1, math.min(#found, op.limit or 20) do
    hits[i] = {message = rows.show_message(found[i]), snippet = text.cut(found[i].text), score = 1.0}
  end
  return {hits = list(hits)}
end

function answers.getConversation(op, state)
  local conversation = state.conversations[op.conversationId]
  return {conversation = conversation and rows.show_conversation(conversation)}
end

local function is_more_active(one, other)
  local a, b = one.row.updatedAt, other.row.updatedAt
  return a > b or a == b and one.place > other.place
end

function answers.listConversations(op, state)
  local before, found, shown = op.before and rows.conversation(state, op.before), {}, {}
  for _, conversation in pairs(state.conversations) do
    if not before or is_more_active(before, conversation) then found[#found + 1] = conversation end
  end
  table.sort(found, is_more_active)
  local limit = op.limit or 100
  for i = 1, math.min(#found, limit) do shown[i] = rows.show_conversation(found[i]) end
  return {conversations = list(shown), hasMore = #found > limit}
end

-- ---- The layer ----

-- Each op of a batch comes back here through the whole chain; where one fails, all are taken back.
local function batch(op, next, state, ctx)
  local outer = state.journal
  local journal = outer or {shared = ctx.shared}
  local mark = #journal
  state.journal = journal
  local good, result = pcall(next, op)
  state.journal = outer
  if good then return result end
  rows.undo(journal, mark)
  error(result, 0)
end

return {
  name = "memory",
  schema = {},
  ops = "*",
  handle = function(op, next, ctx)
    local answer, state = answers[op.op], rows.state_of(ctx)
    if state.journal and state.journal.shared ~= ctx.shared then -- a batch that ended past a budget
      rows.undo(state.journal, 0)
      state.journal = nil
    end
    if op.op == "batch" then return batch(op, next, state, ctx) end
    if answer == nil then fail("invalid", "memory has no answer to \"%s\"", op.op) end
    return ctx:reply(answer(op, state, ctx))
  end,
}
