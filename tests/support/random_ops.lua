-- random_ops: steps for a property test, from a seed. Few ids and few words, so that repeats, conflicts, late
-- appends, cursors of deleted rows and the rest of what is rare come often.
--
-- A step is an op, or one of the runner's own: {op = "@clock", time}, {op = "@reopen"}, {op = "@visit", step} (the
-- op comes from a second handle on the file), {op = "@die", ops, meets} (a second handle reserves and appends, and
-- is closed before the first runs the op that meets what is left), {op = "@check", seed} (all reads).

local holdfast = require "holdfast"

local list, null = holdfast.list, holdfast.null

local random_ops = {}

-- ---- Chance ----

local Chance = {}
Chance.__index = Chance

function random_ops.chance(seed)
  local chance = setmetatable({state = seed}, Chance)
  chance:below(2)
  return chance
end

-- 0 to n - 1.
function Chance:below(n)
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return (self.state >> 33) % n
end

function Chance:of(choices) return choices[self:below(#choices) + 1] end

-- True once in n times.
function Chance:once_in(n) return self:below(n) == 0 end

-- ---- Values ----

local conversations = {"c1", "c2", "c3", "c4"}
local messages, clients = {}, {"k1", "k2", "k3"}
for i = 1, 14 do messages[i] = "m" .. i end

random_ops.words = {"alpha", "beta", "gamma", "delta", "epsilon"}
random_ops.states = {"final", "reserved", "streaming", "aborted", "interrupted"}

local roles = {"user", "assistant", "tool", "assistant", "assistant"}
local scalars = {1, -7, 0.5, 1.0, "", "text", "Grüße\n\"", true, false, null, math.maxinteger, 1e300}
local keys = {"a", "b", "c", "ключ", ""}
local channels = {"mail", "phone", 7, null}

local function value(chance, depth)
  local kind = chance:below(8)
  if kind == 0 and depth > 0 then
    local items = {}
    for i = 1, chance:below(4) do items[i] = value(chance, depth - 1) end
    return list(items)
  elseif kind == 1 and depth > 0 then
    local fields = {}
    for _ = 1, chance:below(4) do fields[chance:of(keys)] = value(chance, depth - 1) end
    return fields
  end
  return chance:of(scalars)
end

local function object(chance)
  local fields = {}
  for _ = 1, chance:below(4) do fields[chance:of(keys)] = value(chance, 3) end
  if chance:once_in(5) then fields.userMessageChannel = chance:of(channels) end
  return fields
end

local function phrase(chance)
  local words = {}
  for i = 1, chance:below(5) do words[i] = chance:of(random_ops.words) end
  local joined = table.concat(words, chance:of {" ", ", ", "-", "\n", " x"})
  return chance:once_in(4) and joined:upper() or joined
end

local shapes = {
  function() return "" end,
  function() return "[]" end,
  function(chance) return "[" .. phrase(chance) end,
  function(chance) return holdfast.json.encode {type = "text", text = phrase(chance)} end,
  function(chance) return phrase(chance) .. " Grüße, 世界! \u{1F680}" end,
  function(chance) return (phrase(chance) .. " "):rep(200) end,
}

local function content(chance)
  if chance:once_in(3) then return chance:of(shapes)(chance) end
  if chance:once_in(2) then return phrase(chance) end
  local blocks = {}
  for i = 1, 1 + chance:below(3) do
    blocks[i] = chance:once_in(4) and {type = "tool_use", id = "t1", name = "f", input = {n = list {1}}}
      or {type = "text", text = phrase(chance)}
  end
  return holdfast.json.encode(list(blocks))
end

-- ---- Ops ----

local Generator = {}
Generator.__index = Generator

-- `seq_of(id)` says how many deltas a message has.
function random_ops.generator(seed, seq_of)
  return setmetatable({
    chance = random_ops.chance(seed), seq_of = seq_of, time = 1000, count = 0,
    conversations = table.move(conversations, 1, #conversations, 1, {}),
    messages = table.move(messages, 1, #messages, 1, {}),
  }, Generator)
end

-- Makes known what a fork has made.
function Generator:learn(conversation_id, message_ids)
  table.insert(self.conversations, conversation_id)
  table.move(message_ids, 1, #message_ids, #self.messages + 1, self.messages)
end

-- A value where chance wants the optional field, once in n times.
function Generator:maybe(n, make)
  if self.chance:once_in(n) then return make(self.chance) end
end

function Generator:conversation()
  if self.chance:once_in(40) then return "nowhere" end
  return self.chance:of(self.conversations)
end

function Generator:message()
  if self.chance:once_in(40) then return "nothing" end
  return self.chance:of(self.messages)
end

local function flag(chance) return chance:once_in(2) end
local function client(chance) return chance:of(clients) end

-- A message id, and most of the time the conversation and the role that it is used with.
function Generator:message_of()
  local number = self.chance:below(#messages) + 1
  if self.chance:once_in(12) then return self:message(), self:conversation(), self.chance:of(roles) end
  return messages[number], conversations[number % #conversations + 1], roles[number % #roles + 1]
end

local make = {}

function make.createConversation(self)
  return {
    conversationId = self.chance:of(conversations), title = self:maybe(3, phrase), originChannel = self:maybe(8, phrase),
    metadata = self:maybe(2, object),
  }
end

function make.updateConversation(self)
  local updates = self:maybe(2, object)
  if updates and self.chance:once_in(4) then updates.private = flag(self.chance) end
  return {
    conversationId = self:conversation(), title = self:maybe(3, phrase), originChannel = self:maybe(8, phrase), updates = updates,
  }
end

function make.deleteConversation(self) return {conversationId = self:conversation()} end

function make.add(self)
  local id, conversation, role = self:message_of()
  local op = {
    conversationId = conversation, messageId = id, role = role, metadata = self:maybe(3, object),
    clientMessageId = self:maybe(6, client), content = content(self.chance),
  }
  if self.chance:once_in(4) then op.addOptions = {skipIndexing = self:maybe(2, flag)} end
  if self.chance:once_in(30) then op.createdAtMs = 1 end
  return op
end

function make.reserve(self)
  local id, conversation, role = self:message_of()
  self.anchor = id
  return {
    conversationId = conversation, messageId = id, role = role, metadata = self:maybe(3, object),
    clientMessageId = self:maybe(6, client),
  }
end

function make.append(self)
  local id = self.chance:once_in(4) and self:message() or self.anchor or messages[1]
  local seq = self:maybe(2, function(chance)
    return math.max(1, self.seq_of(id) + (chance:once_in(4) and chance:below(4) - 1 or 1))
  end)
  return {messageId = id, delta = self.chance:of {"", "alpha", " beta", "gamma ", "Grüße", "[", "alpha"}, seq = seq}
end

function make.updateContent(self)
  return {messageId = self:message(), content = content(self.chance), index = self:maybe(3, flag)}
end

function make.abort(self) return {messageId = self:message(), reason = self:maybe(2, phrase)} end

function make.update(self) return {messageId = self:message(), updates = object(self.chance)} end

function make.delete(self) return {messageId = self:message()} end

function make.markSeen(self)
  local id, conversation = self:message_of()
  if self.chance:once_in(2) then return {conversationId = self:conversation()} end
  return {conversationId = conversation, messageId = id}
end

function make.fork(self)
  local id, conversation = self:message_of()
  if self.chance:once_in(2) then return {conversationId = self:conversation(), title = self:maybe(2, phrase)} end
  return {conversationId = conversation, throughMessageId = id}
end

function make.get(self) return {messageId = self:message()} end

function make.list(self)
  local id, conversation = self:message_of()
  local function near() return self.chance:once_in(3) and self:message() or id end
  local function states(chance)
    local chosen = {}
    for i = 1, 1 + chance:below(3) do chosen[i] = chance:of(random_ops.states) end
    return list(chosen)
  end
  return {
    conversationId = self.chance:once_in(2) and conversation or self:conversation(),
    before = self:maybe(3, near), after = self:maybe(3, near), states = self:maybe(3, states),
    limit = self:maybe(2, function(chance) return 1 + chance:below(6) end),
  }
end

function make.read(self)
  return {messageId = self:message(), after = self:maybe(2, function(chance) return chance:below(8) end)}
end

function make.search(self)
  local query = self.chance:of(random_ops.words)
  if self.chance:once_in(3) then query = query .. self.chance:of {" ", "  ", "-"} .. self.chance:of(random_ops.words):upper() end
  return {query = query, conversationId = self:maybe(2, function() return self:conversation() end), limit = 1000}
end

function make.getConversation(self) return {conversationId = self:conversation()} end

function make.listConversations(self)
  return {
    limit = self:maybe(2, function(chance) return 1 + chance:below(4) end),
    before = self:maybe(3, function() return self:conversation() end),
  }
end

local weights = {
  createConversation = 4, updateConversation = 4, deleteConversation = 1, add = 16, reserve = 16, append = 24,
  updateContent = 7, abort = 4, update = 5, delete = 5, markSeen = 5, fork = 2, get = 3, list = 8, read = 4, search = 3,
  getConversation = 2, listConversations = 2,
}
local reads = {get = true, list = true, read = true, search = true, getConversation = true, listConversations = true}
local all, writes = {}, {}
for _, name in ipairs(holdfast.ops) do
  for _ = 1, weights[name] or 0 do
    all[#all + 1] = name
    if not reads[name] then writes[#writes + 1] = name end
  end
end

function Generator:op(names)
  local name = self.chance:of(names or all)
  local op = make[name](self)
  op.op = name
  return op
end

-- Of the ops that change what is there, so that a batch gets somewhere before it fails.
function Generator:batch()
  local ops = {}
  for i = 1, self.chance:below(6) do ops[i] = self:op(writes) end
  return {op = "batch", ops = list(ops)}
end

-- A batch that succeeds: new messages, most of them in one conversation, between ops that look at it.
function Generator:run_of_messages()
  local chance = self.chance
  local ops = {}
  for i = 1, 2 + chance:below(6) do
    local conversation = chance:once_in(6) and chance:of(conversations) or ops[1] and ops[1].conversationId
    local look = i == 1 or chance:once_in(4)
    local op = self:op {look and (i > 1 and chance:of {"updateConversation", "markSeen"} or "createConversation")
                        or chance:of {"add", "add", "reserve"}}
    op.conversationId = conversation or op.conversationId
    op.clientMessageId, op.messageId = nil, not look and ("n%d-%d"):format(self.count, i) or nil
    if chance:once_in(20) and op.messageId then op.messageId = op.messageId .. ("-long"):rep(20) end
    ops[i] = op
  end
  return {op = "batch", ops = list(ops)}
end

function Generator:clock()
  local jumps = {0, 1, 1, 5, 1000, -1, -500, -100000}
  self.time = math.max(1, self.time + self.chance:of(jumps))
  return {op = "@clock", time = self.time}
end

local visits = {"append", "append", "abort", "updateContent", "update", "delete", "read", "get", "markSeen"}

function Generator:death()
  local reserve = self:op {"reserve"}
  local meets = self:op {"append", "update", "abort", "updateContent"}
  reserve.clientMessageId, meets.messageId = nil, reserve.messageId
  return {op = "@die", ops = list {reserve, {op = "append", messageId = reserve.messageId, delta = "left"}}, meets = meets}
end

function Generator:step()
  local chance = self.chance
  self.count = self.count + 1
  if self.count <= #conversations then return {op = "createConversation", conversationId = conversations[self.count]} end
  if chance:once_in(8) then return self:clock() end
  if chance:once_in(16) then return self:batch() end
  if chance:once_in(16) then return self:run_of_messages() end
  if chance:once_in(120) then return {op = "@visit", step = self:op(visits)} end
  if chance:once_in(150) then return {op = "@reopen"} end
  if chance:once_in(100) then return self:death() end
  return self:op()
end

-- The reads that together show all there is. `state` is the model's.
function Generator:all_reads()
  local ops = {}
  local function add(name, fields)
    fields.op = name
    ops[#ops + 1] = fields
  end
  for _, id in ipairs(self.messages) do
    add("get", {messageId = id})
    for after = 0, self.seq_of(id) do add("read", {messageId = id, after = after}) end
  end
  for _, id in ipairs(self.conversations) do
    add("getConversation", {conversationId = id})
    add("list", {conversationId = id, limit = 1000})
    add("list", {conversationId = id, states = list {self.chance:of(random_ops.states)}, limit = 1 + self.chance:below(4)})
    for _, end_of in ipairs {"before", "after"} do
      add("list", {conversationId = id, [end_of] = self.chance:of(self.messages), limit = 1 + self.chance:below(4)})
    end
    add("search", {query = self.chance:of(random_ops.words), conversationId = id, limit = 1000})
  end
  for _, word in ipairs(random_ops.words) do add("search", {query = word, limit = 1000}) end
  add("listConversations", {limit = 1000})
  for _ = 1, 2 do ops[#ops + 1] = self:op {"listConversations"} end
  return ops
end

-- ---- Telling ----

-- A step as Lua.
function random_ops.source(given)
  if given == null then return "null" end
  if math.type(given) == "float" then return (("%.17g"):format(given):gsub("^%-?%d+$", "%0.0")) end
  if type(given) ~= "table" then return (("%q"):format(given):gsub("\n", "n")) end
  local parts = {}
  for i, item in ipairs(given) do parts[i] = random_ops.source(item) end
  local names = {}
  for name in pairs(given) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names, function(one, other)
    if (one == "op") ~= (other == "op") then return one == "op" end
    return one < other
  end)
  for _, name in ipairs(names) do
    local key = name:find "^[%a_][%w_]*$" and name or ("[%q]"):format(name)
    parts[#parts + 1] = key .. " = " .. random_ops.source(given[name])
  end
  return (getmetatable(given) and "list " or "") .. "{" .. table.concat(parts, ", ") .. "}"
end

return random_ops
