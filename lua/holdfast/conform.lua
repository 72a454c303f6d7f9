-- conform: whether a middleware file keeps the rules that every layer has to keep.
--
--   local conform = require "holdfast.conform"
--   for _, found in ipairs(conform.check("shorten.lua", {limit = 5})) do
--     print(("%s:%d: %s"):format(found.file, found.line, found.message))
--   end
--
-- `check(path, config?)` gives a list of findings {file, line, message}, empty where all is well. It looks for
-- names that the sandbox does not have, loads the file, and runs every op of the list through it, with edge
-- payloads, in stores of its own:
--   - an op whose kind the layer does not name passes it by;
--   - no valid op makes the layer raise, give a result that does not fit, or go past a budget;
--   - an error, its own or one from below, leaves nothing in the store;
--   - messages and conversations keep the ids that their ops gave them;
--   - where the layer declares `idempotent = true`, an op that runs twice leaves what one leaves, if it does so
--     without the layer.
-- The middleware runs in the sandbox all the while.

local holdfast = require "holdfast"
local facts_of = require "holdfast.conform.chunk"

local conform = {}

-- ---- What the sandbox has ----

-- Its globals, by name: true, or for a library the names that it has.
local function sandbox_names()
  local names
  local store <close> = holdfast.open(":memory:", {log = function(_, _, _, fields) names = fields end})
  store:useString("names", [[
    return {ops = {"get"}, handle = function(op, next, ctx)
      local names = {}
      for name, value in pairs(_G) do
        names[name] = true
        if type(value) == "table" and value ~= _G then
          names[name] = {}
          for member in pairs(value) do names[name][member] = true end
        end
      end
      ctx:log("info", "names", names)
      return next(op)
    end}
  ]])
  store:get {messageId = "m1"}
  return names
end

local function check_globals(globals, report)
  local names, own = sandbox_names(), {}
  for _, use in ipairs(globals) do
    if use.written then own[use.name] = true end
  end
  for _, use in ipairs(globals) do
    local known = names[use.name]
    if use.written then
      report(use.line, ("sets the global \"%s\": expected a local"):format(use.name))
    elseif known == nil and not own[use.name] then
      report(use.line, ("reads the global \"%s\", which the sandbox does not have"):format(use.name))
    elseif use.member and type(known) == "table" and not known[use.member] then
      report(use.line, ("uses %s.%s, which the sandbox does not have"):format(use.name, use.member))
    end
  end
end

-- ---- Ops to try ----

local list, null = holdfast.list, holdfast.null

local function nest(depth) return depth > 0 and {inner = list {nest(depth - 1)}} or "end" end

local objects = {
  {"empty", {}},
  {"with null, {} and []", {a = null, b = {}, c = list {}, d = list {null, {}, list {}}}},
  {"with big integers", {most = math.maxinteger, least = math.mininteger, odd = 9007199254740993, real = 0.1}},
  {"nested deep", nest(20)},
  {"with keys of any kind", {[""] = 1, ["ключ"] = "Grüße", ["a.b"] = "\t\"\\\n\u{1}", userMessageChannel = "phone"}},
}

local texts = {
  {"empty", ""},
  {"of 64 KiB", ("All work and no play. "):rep(2979):sub(1, 65536)},
  {"of many scripts", "Grüße, 世界! \u{1F469}\u{200D}\u{1F680} e\u{301}\r\n\t"},
  {"of blocks", '[{"type":"text","text":"hi \\ud83d\\ude80"},{"type":"tool_use","id":"t1","name":"f","input":{"n":[1,null]}},'
    .. '{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"1"}]}]'},
  {"that looks like blocks", '[{"type":"text","text":'},
  {"that is other JSON", '{"type":"text"}'},
  {"of an empty list", "[]"},
}

-- Values by field: the plain one, and {what, value} for the edges. `new` is for an op that makes what it names.
local values = {
  conversationId = {"c1", {"of none", "nowhere"}, new = "c-new"},
  messageId = {"m1", {"of a reserved one", "a1"}, {"of a streaming one", "s1"}, {"of none", "nowhere"}, new = "m-new"},
  role = {"user", {"assistant", "assistant"}, {"of 64 bytes", ("r"):rep(64)}},
  content = {"hello", table.unpack(texts)},
  delta = {"hello", table.unpack(texts)},
  title = {"A title", {"empty", ""}, texts[3]},
  originChannel = {"web"},
  clientMessageId = {"client-1"},
  metadata = {{a = 1}, table.unpack(objects)},
  updates = {{a = 2}, table.unpack(objects)},
  query = {"hello", texts[3]},
  reason = {"enough"},
  limit = {2},
  before = {"m2"},
  after = {"m1"},
  states = {list {"final", "reserved"}},
  index = {false},
  syncToDisk = {false},
  addOptions = {{skipIndexing = true}},
  createdAtMs = {1},
  seq = {1},
  throughMessageId = {"m1"},
  ops = {
    list {{op = "add", conversationId = "c1", messageId = "m-new", role = "user", content = "in a batch"}},
    {"empty", list {}},
    {"that fails at its end", list {{op = "add", conversationId = "c1", role = "user", content = "one"},
                                    {op = "update", messageId = "nowhere", updates = {}}}},
  },
}

-- The same where an op takes another view of a field.
local own_values = {
  append = {messageId = {"s1", {"of a reserved one", "a1"}, {"of a final one", "m1"}, {"of none", "nowhere"}}, seq = {2}},
  abort = {messageId = {"s1", {"of a reserved one", "a1"}, {"of a final one", "m1"}, {"of none", "nowhere"}}},
  read = {messageId = {"s1", {"of a final one", "m1"}, {"of none", "nowhere"}}, after = {1, {"of the beginning", 0}}},
  search = {conversationId = {"c1", {"of none", "nowhere"}}},
  markSeen = {messageId = {"m1", {"of none", "nowhere"}}},
}

local function values_of(name, field)
  return own_values[name] and own_values[name][field] or values[field]
end

-- The fields that the op must have, and those that it may have, found by asking the engine.
local function fields_of(name)
  local store <close> = holdfast.open ":memory:"
  local function ask(op)
    local good, err = pcall(store.exec, store, op)
    return good and "" or tostring(err.message)
  end
  local must, may, op = {}, {}, {op = name}
  while true do
    local field = ask(op):match "field \"(%w+)\".- is missing"
    if field == nil then break end
    if values[field] == nil then error(("conform has no value for the field \"%s\""):format(field)) end
    must[field], op[field] = true, values_of(name, field)[1]
  end
  for field in pairs(values) do
    local value = values_of(name, field)[1]
    if not must[field] and not ask({op = name, [field] = value}):find("has no field", 1, true) then may[field] = true end
  end
  return must, may
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local made = {}
  for key, item in pairs(value) do made[key] = copy(item) end
  return getmetatable(value) and list(made) or made
end

-- The ops to try: {label, op}.
local function cases_of(name)
  local must, may = fields_of(name)
  local cases = {}
  local function try(label, changes)
    local op = {op = name}
    for field in pairs(must) do op[field] = copy(values_of(name, field)[1]) end
    for field in pairs(may) do op[field] = values_of(name, field).new end
    for field, value in pairs(changes) do op[field] = copy(value) end
    cases[#cases + 1] = {label = name .. label, op = op}
  end
  local plain = {}
  for field in pairs(may) do
    if not values_of(name, field).new then plain[field] = values_of(name, field)[1] end
  end
  try("", {})
  try(" with every field", plain)
  for _, among in ipairs {must, may} do
    for field in pairs(among) do
      local given = values_of(name, field)
      if among == may and not given.new then try((" with %s"):format(field), {[field] = given[1]}) end
      for i = 2, given.new and among == may and 1 or #given do
        local what, value = table.unpack(given[i])
        try((" with %s %s"):format(field, what), {[field] = value})
      end
    end
  end
  table.sort(cases, function(one, other) return one.label < other.label end)
  return cases
end

local seed = {
  {op = "createConversation", conversationId = "c1", metadata = {a = 1}},
  {op = "add", conversationId = "c1", messageId = "m1", role = "user", content = "one", metadata = {a = 1}},
  {op = "add", conversationId = "c1", messageId = "m2", role = "assistant", content = "two"},
  {op = "reserve", conversationId = "c1", messageId = "a1", role = "assistant"},
  {op = "reserve", conversationId = "c1", messageId = "s1", role = "assistant"},
  {op = "append", messageId = "s1", delta = "so far", seq = 1},
  {op = "createConversation", conversationId = "c2", title = "Second"},
}

-- ---- Stores to try them in ----

-- Times and minted ids differ from run to run.
local times = {createdAt = true, updatedAt = true, lastMessageAt = true, latestAssistantAt = true}

local function settle(value, key)
  if times[key] then return 0 end
  if type(value) == "string" then return (value:gsub("^%x+%-%x+%-7%x+%-%x+%-%x+$", "minted")) end
  if type(value) ~= "table" then return value end
  local made = {}
  for name, item in pairs(value) do made[name] = settle(item, name) end
  return made
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for key, item in pairs(a) do
    if not same(item, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- What the store holds, seen without layers.
local function snapshot(store)
  local rows = {}
  for i, conversation in ipairs(store:listConversations({limit = 1000}).conversations) do
    rows[i] = {conversation, store:list({conversationId = conversation.id, limit = 1000}).messages}
  end
  table.sort(rows, function(one, other) return one[1].id < other[1].id end)
  return settle(rows)
end

-- The same rows again, whatever is there.
local function reset(store)
  local ops = list {}
  for _, conversation in ipairs(store:listConversations({limit = 1000}).conversations) do
    ops[#ops + 1] = {op = "deleteConversation", conversationId = conversation.id}
  end
  for _, op in ipairs(seed) do ops[#ops + 1] = copy(op) end
  store:batch {ops = ops}
end

-- A layer for the place below the one that is checked: it sees what reaches the terminal, and fails on demand.
local function below()
  local layer = {seen = {}, fails = nil}
  layer[1] = {name = "conform-below", ops = "*", handle = function(op, next)
    if layer.fails == "before" then error({code = "provoked", message = "provoked before the terminal"}, 0) end
    local result = next(op)
    if layer.fails == "after" then error({code = "provoked", message = "provoked after the terminal"}, 0) end
    layer.seen[#layer.seen + 1] = op
    return result
  end}
  return layer
end

-- ---- The rules ----

-- Codes that say: mend the layer.
local faults = {middleware = true, badResult = true, misuse = true, timeout = true, memory = true, depth = true,
                internal = true}

local Check = {}
Check.__index = Check

-- The line that a message or a traceback names, and the message without it.
function Check:locate(text)
  local name = self.path:match "[^/]*$" .. ":"
  local _, last = text:find(name, 1, true)
  local line, rest = text:match("^(%d+):%s*(.*)$", last and last + 1 or #text + 1)
  return tonumber(line), rest
end

-- A problem is told once for each line, with the first case that showed it.
function Check:report(line, problem, case)
  local key = line .. problem
  if self.known[key] then return end
  self.known[key] = true
  local number = #self.findings + 1
  self.findings[number] = {file = self.path, line = line, message = case and case.label .. ": " .. problem or problem}
  self.order[self.findings[number]] = number
end

-- The same, where the layer's function for the op begins.
function Check:report_op(case, problem)
  local functions = self.facts.functions
  self:report(functions[case.op.op] or functions.handle or functions[1] or 1, problem, case)
end

-- Reports an error that the layer has to be mended for. One that was provoked is none.
function Check:judge(case, err)
  local careless = err.code == "invalid" and err.layer == nil -- not meant as a refusal: the library complained to it
  if not faults[err.code] and not (careless and self:is_valid(case.op)) then return end
  local message = tostring(err.message):gsub("^ops%[%d+%]: ", "")
  local line, rest = self:locate(message)
  line = line or self:locate(err.traceback or "")
  if line then self:report(line, rest or message, case) else self:report_op(case, message) end
end

-- Whether the op succeeds without the layer.
function Check:is_valid(op)
  reset(self.plain)
  return (pcall(self.plain.exec, self.plain, copy(op)))
end

-- Whether the op leaves the same where it runs twice without the layer.
function Check:is_repeatable(op)
  local function leaves()
    pcall(self.plain.exec, self.plain, copy(op))
    return snapshot(self.plain)
  end
  reset(self.plain)
  return same(leaves(), leaves())
end

-- A store with the rows, whose anchors are its own, and with the layer.
function Check:open(path)
  local store = holdfast.open(path, {durability = "normal", now = function() return 1700000000000 end})
  reset(store)
  store:use(self.path, self.config)
  return store
end

-- Whether the layer takes part in the op; an op that is refused at the door meets no layer.
function Check:enters(op)
  local good, told = pcall(self.probe.explain, self.probe, copy(op))
  for _, step in ipairs(good and told.steps or {}) do
    if step.layer then return true end
  end
  return false
end

-- The op does with the layer what it does without.
function Check:passes_by(case)
  local function outcome(store)
    local good, result = pcall(store.exec, store, copy(case.op))
    local answer = good and result or {code = result.code, message = result.message}
    return settle {answer, snapshot(self.plain)}
  end
  reset(self.plain)
  local without = outcome(self.plain)
  local store <close> = self:open(self.file)
  if not same(without, outcome(store)) then
    self:report_op(case, "the layer does not name this kind, and yet changes what happens")
  end
end

function Check:ids_survive(case, result, seen)
  local op = case.op
  local field = result.message and "messageId" or "conversationId"
  local row = result.message or result.conversation
  if row == nil or op[field] == nil or op.op == "fork" then return end -- a fork's conversationId is that of its source
  if row.id ~= op[field] then self:report_op(case, ("the answer's id is not the op's %s"):format(field)) end
  if op[field] ~= values[field].new then return end
  local stored = #seen == 0 -- answered without the store
  for _, other in ipairs(seen) do stored = stored or other.op == op.op and other[field] == op[field] end
  if not stored then self:report_op(case, ("what was stored does not bear the op's %s"):format(field)) end
end

-- The op meets the layer: with failures from below, then without, then once more.
function Check:meets(case)
  local inner, errors = below(), {}
  local twice = self.facts.idempotent and self:is_repeatable(case.op)
  local store <close> = self:open(self.file)
  store:use(inner[1])
  for _, op in ipairs(seed) do pcall(store.exec, store, copy(op)) end -- for a layer that keeps them elsewhere
  local function run(fails)
    local before = snapshot(self.plain)
    inner.fails, inner.seen = fails, {}
    local good, result = pcall(store.exec, store, copy(case.op))
    if good then return result end
    if not same(before, snapshot(self.plain)) then self:report_op(case, "it failed, and yet the store has changed") end
    table.insert(errors, 1, {case = fails and {label = case.label .. ", failing below", op = case.op} or case, err = result})
    self.stop = result.code == "timeout" or result.code == "memory" -- each further breach would take as long
  end
  for _, fails in ipairs {"before", "after", false} do
    local result = not self.stop and run(fails)
    if result and not fails then
      self:ids_survive(case, result, inner.seen)
      local once = snapshot(self.plain)
      if twice then run(false) end
      if twice and not same(once, snapshot(self.plain)) then
        self:report_op(case, "declared idempotent, and yet the second time changes the store")
      end
    end
  end
  for _, failed in ipairs(errors) do self:judge(failed.case, failed.err) end
end

function Check:run()
  self.plain = holdfast.open(self.file, {durability = "normal"})
  for _, name in ipairs(holdfast.ops) do
    for _, case in ipairs(cases_of(name)) do
      if self:enters(case.op) then self:meets(case) else self:passes_by(case) end
      if self.stop then return end
    end
  end
end

-- The line of the source that first has one of the quoted words of a message.
local function line_of_word(source, message)
  for word in message:gmatch "\"([%w_]+)\"" do
    local number = 0
    for line in (source .. "\n"):gmatch "(.-)\n" do
      number = number + 1
      if line:find("%f[%w_]" .. word .. "%f[^%w_]") then return number end
    end
  end
  return 1
end

function conform.check(path, config)
  local check = setmetatable({path = path, config = config, findings = {}, known = {}, order = {}}, Check)
  local file <close> = assert(io.open(path, "rb"))
  local source = assert(file:read "a")
  local chunk, why = load(source, "@" .. path, "t")
  if chunk == nil then
    local line, message = check:locate(why)
    check:report(line or 1, message or why)
    return check.findings
  end
  check.facts = facts_of(string.dump(chunk))
  check_globals(check.facts.globals, function(line, message) check:report(line, message) end)
  local good, err = pcall(check.open, check, ":memory:")
  if good then
    check.probe, check.file = err, os.tmpname()
    good, err = pcall(check.run, check)
    check.probe:close()
    if check.plain then check.plain:close() end
    for _, ending in ipairs {"", "-wal", "-shm"} do os.remove(check.file .. ending) end
    if not good then error(err, 0) end
  else
    local line, message = check:locate(tostring(err.message))
    check:report(line or line_of_word(source, tostring(err.message)), message or err.message)
  end
  table.sort(check.findings, function(one, other)
    if one.line ~= other.line then return one.line < other.line end
    return check.order[one] < check.order[other]
  end)
  return check.findings
end

return conform
