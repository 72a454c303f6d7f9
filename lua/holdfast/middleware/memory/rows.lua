-- rows: what memory keeps, how it is written and taken back, and how a row is shown. Which op may do what is
-- for memory.lua to decide.
--
-- A message is {row, place, deltas, length, seq, text}: `row` is what readers see, but for the content while
-- that still grows in `deltas`; `text` is what search looks at, absent where the message is not indexed.
-- A conversation is {row, place, messages, places, clients, assistant, seen}: `messages` in the order of
-- insertion, false where one was deleted; `places` says where in there an id is, or was; `clients` has the
-- messages by clientMessageId; `assistant` is the place of the newest final assistant message, `seen` of the
-- last one seen, `unseen` whether an answer came since. Their own `place` is the order of insertion in the whole state.

local holdfast = require "holdfast"
local text = require "holdfast.middleware.memory.text"

local rows = {}

function rows.fail(code, ...)
  error({code = code, message = string.format(...)}, 0)
end

function rows.state_of(ctx)
  local state = ctx.state
  if state.messages == nil then
    state.messages, state.conversations, state.count, state.clock = {}, {}, 0, 0
  end
  return state
end

-- ---- Writing ----

-- The one way to write, so that it can be taken back.
local function put(state, where, key, value)
  local journal = state.journal
  if journal then journal[#journal + 1] = {where, key, where[key]} end
  where[key] = value
end

-- Takes back what a journal has behind `mark`.
function rows.undo(journal, mark)
  for i = #journal, mark + 1, -1 do
    local where, key, value = table.unpack(journal[i], 1, 3)
    where[key], journal[i] = value, nil
  end
end

-- The time of a write to what was last written at `before`: it rises when the clock does not.
function rows.tick(state, ctx, before)
  local time = math.max(ctx:now(), before + 1, state.clock)
  put(state, state, "clock", time)
  return time
end

local function count(state)
  put(state, state, "count", state.count + 1)
  return state.count
end

-- ---- Finding ----

function rows.conversation(state, id)
  return state.conversations[id] or rows.fail("notFound", "there is no conversation \"%s\"", id)
end

function rows.message(state, id)
  return state.messages[id] or rows.fail("notFound", "there is no message \"%s\"", id)
end

-- Where in the conversation the message is, or was before it was deleted.
function rows.place(conversation, id)
  return conversation.places[id]
    or rows.fail("notFound", "conversation \"%s\" has no message \"%s\"", conversation.row.id, id)
end

function rows.message_within(conversation, id)
  return conversation.messages[conversation.places[id]]
    or rows.fail("notFound", "conversation \"%s\" has no message \"%s\"", conversation.row.id, id)
end

-- The newest message, from `place` down, that `fits`; nil without one.
local function newest(conversation, place, fits)
  for i = place, 1, -1 do
    local message = conversation.messages[i]
    if message and (fits == nil or fits(message)) then return message end
  end
end

local function is_final(message) return message.row.state == "final" end

local function is_answer(message) return is_final(message) and message.row.role == "assistant" end

function rows.newest_final(conversation)
  return newest(conversation, #conversation.messages, is_final)
end

-- ---- Showing ----

-- What is kept and what is given never share a table.
local function copy(value)
  if type(value) ~= "table" then return value end
  local made = {}
  for key, item in pairs(value) do made[key] = copy(item) end
  return getmetatable(value) and holdfast.list(made) or made
end
rows.copy = copy

function rows.merge(metadata, updates)
  local merged = copy(metadata) or {}
  for key, value in pairs(updates) do merged[key] = copy(value) end
  return merged
end

function rows.show_message(message)
  local row = copy(message.row)
  if message.seq > 0 and message.deltas then row.content = table.concat(message.deltas) end
  return row
end

-- nil where neither end is set.
function rows.attention(conversation)
  local assistant, seen = conversation.assistant, conversation.seen
  if not assistant and not seen then return nil end
  local answer = assistant and conversation.messages[assistant].row or {}
  return {
    latestAssistantMessageId = answer.id,
    latestAssistantAt = answer.createdAt,
    lastSeenMessageId = seen and conversation.messages[seen].row.id,
    unseen = conversation.unseen,
  }
end

function rows.show_conversation(conversation)
  local row = copy(conversation.row)
  row.attention = rows.attention(conversation)
  return row
end

-- ---- Messages and conversations come, change and go ----

function rows.add_conversation(state, ctx, row)
  row.createdAt = rows.tick(state, ctx, 0)
  row.updatedAt = row.createdAt
  local conversation = {row = row, place = count(state), messages = {}, places = {}, clients = {}, unseen = false}
  put(state, state.conversations, row.id, conversation)
  return conversation
end

function rows.change_conversation(state, conversation, changes)
  for name, value in pairs(changes) do put(state, conversation.row, name, value) end
end

-- Its messages go with it; how many, and the ids of those that were indexed.
function rows.remove_conversation(state, conversation)
  local removed, segments = 0, {}
  for _, message in ipairs(conversation.messages) do
    if message then
      put(state, state.messages, message.row.id, nil)
      removed = removed + 1
      if message.text then segments[#segments + 1] = message.row.id end
    end
  end
  put(state, state.conversations, conversation.row.id, nil)
  return removed, segments
end

-- To be called when a message has become final.
local function notice(state, conversation, message)
  local place = conversation.places[message.row.id]
  if not is_answer(message) then return end
  if place > (conversation.assistant or 0) then put(state, conversation, "assistant", place) end
  put(state, conversation, "unseen", true)
end

function rows.add_message(state, ctx, conversation, row, indexed)
  local message = {row = row, place = count(state), seq = 0, length = 0}
  local place, parent = #conversation.messages + 1, conversation.row
  row.conversationId, row.createdAt = parent.id, rows.tick(state, ctx, parent.updatedAt)
  if indexed then message.text = text.of(row.content) end
  if not is_final(message) then message.deltas = {} end
  put(state, state.messages, row.id, message)
  put(state, conversation.messages, place, message)
  put(state, conversation.places, row.id, place)
  if row.clientMessageId then put(state, conversation.clients, row.clientMessageId, message) end
  put(state, parent, "updatedAt", row.createdAt)
  put(state, parent, "lastMessageAt", row.createdAt)
  notice(state, conversation, message)
  return message
end

function rows.append(state, message, delta)
  put(state, message.deltas, message.seq + 1, delta)
  put(state, message, "seq", message.seq + 1)
  put(state, message, "length", message.length + #delta)
  put(state, message.row, "state", "streaming")
end

function rows.finish(state, message, content, indexed)
  local was_final = is_final(message)
  put(state, message, "deltas", nil)
  put(state, message, "text", indexed and text.of(content) or nil)
  put(state, message.row, "content", content)
  put(state, message.row, "state", "final")
  if not was_final then notice(state, state.conversations[message.row.conversationId], message) end
end

function rows.change_message(state, message, changes)
  for name, value in pairs(changes) do put(state, message.row, name, value) end
end

function rows.remove_message(state, message)
  local row = message.row
  local conversation = state.conversations[row.conversationId]
  local place = conversation.places[row.id]
  put(state, state.messages, row.id, nil)
  put(state, conversation.messages, place, false)
  if row.clientMessageId then put(state, conversation.clients, row.clientMessageId, nil) end
  if conversation.row.lastMessageAt == row.createdAt then
    local last = newest(conversation, place)
    put(state, conversation.row, "lastMessageAt", last and last.row.createdAt)
  end
  if conversation.assistant == place then
    local last = newest(conversation, place, is_answer)
    local assistant = last and conversation.places[last.row.id]
    put(state, conversation, "assistant", assistant)
    put(state, conversation, "unseen", conversation.unseen and (assistant or 0) > (conversation.seen or 0))
  end
  if conversation.seen == place then
    local last = newest(conversation, place)
    put(state, conversation, "seen", last and conversation.places[last.row.id])
  end
end

function rows.see(state, conversation, message)
  local place = conversation.places[message.row.id]
  put(state, conversation, "seen", place)
  put(state, conversation, "unseen", (conversation.assistant or 0) > place)
end

return rows
