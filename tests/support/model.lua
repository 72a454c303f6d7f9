-- model: memory's answers to ops, from its handler and a context of plain Lua, with no engine around it.
--
-- What a terminal is free to choose, times and minted ids, it is told from the answer that it is compared with.

local holdfast = require "holdfast"
local layer = require "holdfast.middleware.memory"

local Model = {}
Model.__index = Model

local model = {}

-- A write, even one that was undone, may move the time on by one ms: no more than that is it ahead of the clock.
local function check_time(self, time)
  if time > self.latest + self.ticks then error(("the time %d is far ahead of the clock's %d"):format(time, self.latest)) end
end

-- When the newest row was made.
local function newest(state)
  local time = 0
  for _, rows in ipairs {state.messages, state.conversations} do
    for _, item in pairs(rows) do time = math.max(time, item.row.createdAt) end
  end
  return time
end

local function context(self, op, told, shared)
  local ctx = {state = self.state, shared = shared}
  function ctx.now()
    local time = table.remove(told.times, 1)
    self.ticks = self.ticks + 1
    if time then check_time(self, time) end
    return math.max(time or 0, self.time, op.op ~= "updateConversation" and newest(self.state) or 0)
  end
  function ctx.uuid()
    self.minted = self.minted + 1
    return table.remove(told.ids, 1) or "minted-" .. self.minted
  end
  function ctx.reply(_, result) return result end
  return ctx
end

function model.new()
  return setmetatable({state = {}, time = 0, latest = 0, ticks = 0, minted = 0}, Model)
end

function Model:set_clock(time)
  self.time, self.latest = time, math.max(time, self.latest)
end

-- `told` {times, ids} is what to use; for a batch, a list of them. Raises error tables, as a store does; one from
-- within a batch bears the index of its op.
function Model:exec(op, told)
  local shared = {}
  local function run(inner, known, next)
    local result = layer.handle(inner, next, context(self, inner, known, shared))
    result.op = inner.op
    return result
  end
  return run(op, told, function(batch)
    local results = {}
    for i, inner in ipairs(batch.ops) do
      local good, result = pcall(run, inner, told[i] or {times = {}, ids = {}})
      if not good then
        if type(result) == "table" then result.index = i - 1 end
        error(result, 0)
      end
      results[i] = result
    end
    return {results = holdfast.list(results)}
  end)
end

function Model:seq_of(id)
  local message = self.state.messages and self.state.messages[id]
  return message and message.seq or 0
end

-- What closing a store and opening it again does to what is in it: the anchors' owner is gone, and so are the
-- times that were given out.
function Model:reopen()
  for _, message in pairs(self.state.messages or {}) do
    local row = message.row
    if row.state == "reserved" or row.state == "streaming" then row.state = "interrupted" end
  end
  self.state.clock = 0
end

return model
