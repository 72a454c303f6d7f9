-- Random sequences of ops, against a store on a file and against memory as the model of what each op does: every
-- answer and every error must be the same, and so must all reads, time and again.
--
-- HOLDFAST_SEED repeats the sequence of that seed, which a failure prints; HOLDFAST_PROPERTY_OPS is how many ops to
-- run, 100,000 unless told otherwise. A failure prints the steps that are left of its sequence once those that it
-- does not need are gone.

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local holdfast = require "holdfast"
local support = dofile(here .. "support.lua")
local model = dofile(here .. "../support/model.lua")
local random_ops = dofile(here .. "../support/random_ops.lua")

local STEPS = 280        -- of one sequence
local CHECK = 70         -- steps between two looks at everything
local REPLAYS = 400      -- for making a failing sequence shorter

-- ---- Comparing ----

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for key, item in pairs(a) do
    if not same(item, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return next(a) ~= nil or getmetatable(a) == getmetatable(b) -- [] is not {}
end

local function by_id(one, other) return one.message.id < other.message.id end

-- The parts of an answer whose order nobody promised, in one order; without those that are each side's own.
local function settle(result)
  if result.results then
    for _, inner in ipairs(result.results) do settle(inner) end
  end
  if result.segmentIds then table.sort(result.segmentIds) end
  if result.hits then
    table.sort(result.hits, by_id)
    for _, hit in ipairs(result.hits) do hit.snippet, hit.score = nil, nil end
  end
  return result
end

-- ---- Both sides ----

local Pair = {}
Pair.__index = Pair

local function open_pair(seed)
  local chance = random_ops.chance(seed)
  local self = setmetatable({path = support.path(), model = model.new(), count = 0}, Pair)
  self.generator = random_ops.generator(seed, function(id) return self.model:seq_of(id) end)
  self.options = {
    durability = "normal",
    now = function() return self.model.time end,
    random = function(size)
      local bytes = {}
      for i = 1, size do bytes[i] = string.char(chance:below(256)) end
      return table.concat(bytes)
    end,
  }
  self.model:set_clock(1000)
  self.store = holdfast.open(self.path, self.options)
  return self
end

function Pair:close()
  self.store:close()
  support.clean()
end

-- The times and ids that the store chose, in the order in which the model will ask for them.
function Pair:choices(result)
  local told = {times = {}, ids = {}}
  if result.results then
    for i, inner in ipairs(result.results) do told[i] = self:choices(inner) end
  elseif result.op == "fork" then
    local id = result.conversation.id
    told.times[1], told.ids[1] = result.conversation.createdAt, id
    for i, message in ipairs(self.store:list({conversationId = id, limit = 100000}).messages) do
      told.times[i + 1], told.ids[i + 1] = message.createdAt, message.id
    end
    self.generator:learn(id, table.move(told.ids, 2, #told.ids, 1, {}))
  elseif result.message then
    told.times[1] = result.message.createdAt
  elseif result.conversation then
    told.times[1] = result.op == "createConversation" and result.conversation.createdAt or result.conversation.updatedAt
  end
  return told
end

-- What differs, as {expected, found}; nil where nothing does.
function Pair:compare(op, store)
  self.count = self.count + 1
  local good, answer = pcall(store.exec, store, op)
  local model_good, expected = pcall(self.model.exec, self.model, op, good and self:choices(answer) or {times = {}, ids = {}})
  if not model_good and type(expected) ~= "table" then return {op = op, expected = expected, found = answer} end
  if good and model_good then
    if same(settle(expected), settle(answer)) then return nil end
  elseif not good and not model_good then
    local index = math.tointeger(answer.message:match "^ops%[(%d+)%]: ")
    if answer.code == expected.code and index == expected.index then return nil end
  end
  local function told(well, what) return well and what or {code = what.code, message = what.message, index = what.index} end
  return {op = op, expected = told(model_good, expected), found = told(good, answer)}
end

local runs = {}

runs["@clock"] = function(self, step) self.model:set_clock(step.time) end

runs["@reopen"] = function(self)
  self.store:close()
  self.store = holdfast.open(self.path, self.options)
  self.model:reopen()
end

-- A second handle owns no anchor: it must not append.
runs["@visit"] = function(self, step)
  local visitor <close> = holdfast.open(self.path, self.options)
  local inner = step.step
  if inner.op ~= "append" then return self:compare(inner, visitor) end
  self.count = self.count + 1
  local good, answer = pcall(visitor.exec, visitor, inner)
  local code = self.model.state.messages[inner.messageId] and "conflict" or "notFound"
  if good or answer.code ~= code then return {op = inner, expected = {code = code}, found = answer} end
end

-- A second handle dies with an anchor of its own: the first write that meets it finds it interrupted.
runs["@die"] = function(self, step)
  local id = step.ops[1].messageId
  local state = self.model.state
  if state.messages == nil or state.messages[id] then return nil end
  local clock = state.clock
  local visitor <close> = holdfast.open(self.path, self.options)
  state.clock = 0 -- the second handle knows nothing of the times that the first gave out
  local difference = self:compare(step.ops[1], visitor) or self:compare(step.ops[2], visitor)
  state.clock = clock
  visitor:close()
  local message = state.messages[id]
  if difference or message == nil then return difference end
  message.row.state = "interrupted"
  return self:compare(step.meets, self.store) or self:compare({op = "get", messageId = id}, self.store)
end

runs["@check"] = function(self, step)
  self.generator.chance = random_ops.chance(step.seed)
  local before = self.count
  for _, op in ipairs(self.generator:all_reads()) do
    local difference = self:compare(op, self.store)
    if difference then return difference end
  end
  self.count = before
end

-- Runs a step on both sides; what differs.
function Pair:run(step)
  return (runs[step.op] or self.compare)(self, step, self.store)
end

-- ---- Sequences ----

local function replay(seed, steps)
  local pair = open_pair(seed)
  local difference
  for i, step in ipairs(steps) do
    difference = pair:run(step)
    if difference then
      steps = table.move(steps, 1, i, 1, {})
      break
    end
  end
  pair:close()
  return difference, steps
end

-- Leaves out what the failure does not need: first long stretches, then single steps.
local function shorten(seed, steps, difference)
  local replays, size = 0, #steps // 2
  while size >= 1 do
    local from = #steps - size
    while from >= 1 and replays < REPLAYS do
      local fewer = table.move(steps, 1, from - 1, 1, {})
      table.move(steps, from + size, #steps, from, fewer)
      local still, left = replay(seed, fewer)
      replays = replays + 1
      if still then steps, difference = left, still end
      from = math.min(from, #steps) - size
    end
    size = size // 2
  end
  return steps, difference
end

local function report(seed, steps, difference)
  steps, difference = shorten(seed, steps, difference)
  local lines = {("HOLDFAST_SEED=%d repeats it. After"):format(seed)}
  for i = math.max(1, #steps - 29), #steps do lines[#lines + 1] = "  " .. random_ops.source(steps[i]) end
  lines[#lines + 1] = "in " .. random_ops.source(difference.op)
  lines[#lines + 1] = "the model says " .. random_ops.source(difference.expected)
  lines[#lines + 1] = "the store says " .. random_ops.source(difference.found)
  return table.concat(lines, "\n")
end

-- How many ops ran; fails where the sides differ.
local function sequence(seed)
  local pair, steps = open_pair(seed), {}
  for i = 1, STEPS do
    local step = i % CHECK == 0 and {op = "@check", seed = seed + i} or pair.generator:step()
    steps[i] = step
    local chance = pair.generator.chance
    local difference = pair:run(step)
    pair.generator.chance = chance
    if difference then
      pair:close()
      error(report(seed, steps, difference), 0)
    end
  end
  pair:close()
  return pair.count
end

describe("property:", function()
  after_each(support.clean)

  it("a store answers random ops as memory does", function()
    local wanted = math.tointeger(os.getenv "HOLDFAST_PROPERTY_OPS" or 100000)
    local seed = math.tointeger(os.getenv "HOLDFAST_SEED" or os.time() * 1000)
    local count = 0
    while count < wanted do
      count = count + sequence(seed)
      seed = seed + 1
    end
  end)
end)
