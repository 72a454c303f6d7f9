-- What a host sees of its layers, and what it can do about them: trace, onError, quarantine, reload, schema.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

describe("the trace", function()
  local store, records

  before_each(function()
    records = {}
    store = support.open {trace = function(record) records[#records + 1] = record end}
    store:createConversation {conversationId = "c1"}
    records = {}
  end)
  after_each(support.clean)

  local function add(fields, context)
    fields.conversationId, fields.role, fields.content = fields.conversationId or "c1", "user", fields.content or "x"
    return store:add(fields, context)
  end

  local function did()
    local steps = {}
    for _, step in ipairs(records[#records].layers) do steps[#steps + 1] = step.layer .. " " .. step.did end
    return table.concat(steps, ", ")
  end

  it("has one record for each op, with outcome, chain and who asked", function()
    store:useString("pass", "return function(op, next) return next(op) end")
    local message = add({}, {requestId = "r1"}).message
    assert.are.equal(1, #records)
    local record = records[1]
    assert.are.same({"add", "ok", "r1", message.id, "c1"},
                    {record.op, record.outcome, record.requestId, record.messageId, record.conversationId})
    assert.are.same({"pass"}, {table.unpack(record.chain)})
    assert.is_true(math.type(record.us) == "integer" and math.type(record.terminalUs) == "integer")
    assert.are.equal("pass passed", did())
    assert.is_nil(holdfast.json.encode(record):find('"content"', 1, true))
  end)

  it("tells passing, rewriting, answering, refusing and failing apart", function()
    store:useString("rewrites", "return function(op, next) op.content = op.content .. '!' return next(op) end")
    store:useString("changes", "return function(op, next) local r = next(op) r.deduplicated = true return r end")
    store:useString("ends", [[return {ops = {"add"}, handle = function(op, next, ctx)
      if op.content == "refuse!" then ctx:reject("denied", "no") end
      if op.content == "fail!" then error("oops") end
      if op.content == "answer!" then
        return ctx:reply {message = {id = op.messageId, conversationId = op.conversationId, role = op.role,
                                     content = "", createdAt = 1, state = "final"}}
      end
      return next(op)
    end}]])
    add {}
    assert.are.equal("rewrites rewrote, changes rewrote, ends passed", did())
    add {content = "answer"}
    assert.are.equal("rewrites rewrote, changes rewrote, ends answered", did())
    pcall(add, {content = "refuse"})
    assert.are.equal("rewrites rewrote, changes passed, ends refused", did())
    assert.are.same({"error", "denied"}, {records[#records].outcome, records[#records].code})
    pcall(add, {content = "fail"})
    assert.are.equal("rewrites rewrote, changes passed, ends failed", did())
    pcall(add, {conversationId = "nowhere"})
    assert.are.equal("rewrites rewrote, changes passed, ends passed", did())
    assert.are.equal("notFound", records[#records].code)
  end)

  it("takes no layer to rewrite an op, or its answer, because it is too large to be kept often", function()
    store:useString("first", "return function(op, next) return next(op) end")
    store:useString("second", "return {ops = {'add'}, handle = function(op, next) return (next(op)) end}")
    for _, mib in ipairs {7, 9, 14, 20} do
      add {content = ("x"):rep(mib << 20)}
      assert.is_nil(did():find("rewrote", 1, true)) -- a slow machine may have no time left for the second
    end
  end)

  it("has a record for an op that a layer answered, whose terminal took no time", function()
    store:useString("answers", [[return {ops = {"get"}, handle = function(op, next, ctx) return ctx:reply {} end}]])
    store:useString("below", [[return {ops = {"get"}, handle = function(op, next) return next(op) end}]])
    store:get {messageId = "m1"}
    assert.are.equal("answers answered", did())
    assert.are.same({"get", "ok", 0}, {records[1].op, records[1].outcome, records[1].terminalUs})
    assert.are.same({"answers", "below"}, {table.unpack(records[1].chain)})
  end)

  it("tells each layer's own time", function()
    local function wait(op, next)
      local ends = os.clock() + 0.02
      while os.clock() < ends do end
      return next(op)
    end
    store:use(function(op, next) return next(op) end, "quick")
    store:use(wait, "slow")
    store:use(function(op, next) return next(op) end, "quick-too")
    add {}
    local quick, slow, quick_too = table.unpack(records[1].layers)
    assert.is_true(slow.us >= 19000 and slow.us <= records[1].us)
    assert.is_true(quick.us < slow.us and quick_too.us < slow.us)
  end)

  it("has a record for an op whose text is no UTF-8, without that text", function()
    pcall(store.exec, store, {op = "getConversation", conversationId = "\xff"})
    assert.are.same({"getConversation", "invalid"}, {records[1].op, records[1].code})
    assert.is_nil(records[1].conversationId)
  end)

  it("has a record for an op that is refused before the chain", function()
    pcall(store.exec, store, {op = "get", messageId = ("x"):rep(200)})
    assert.are.same({"get", "error", "invalid"}, {records[1].op, records[1].outcome, records[1].code})
  end)
end)

describe("a layer whose onError is \"continue\"", function()
  local store, log

  before_each(function()
    log = {}
    store = support.open {log = function(level, layer, message) log[#log + 1] = {level, layer, message} end}
    store:createConversation {conversationId = "c1"}
  end)
  after_each(support.clean)

  local function observer(body)
    store:useString("observer", ([[return {onError = "continue", ops = {"add"}, handle = function(op, next, ctx)
      %s
    end}]]):format(body))
  end

  local function add(content)
    return store:add({conversationId = "c1", role = "user", content = content or "x"}).message
  end

  it("is passed over where it raises before next: the op goes on as the layer received it", function()
    observer "op.content = 'spoilt' error('oops')"
    assert.are.equal("x", add().content)
    assert.are.equal("x", store:list({conversationId = "c1"}).messages[1].content)
    assert.are.same({"error", "observer"}, {log[1][1], log[1][2]})
    assert.is_truthy(log[1][3]:find("oops", 1, true))
  end)

  it("is passed over where it raises after next: the result is the one that next gave", function()
    observer "local result = next(op) result.message.content = 'spoilt' error('oops')"
    assert.are.equal("x", add().content)
    assert.are.equal(1, #store:list({conversationId = "c1"}).messages)
  end)

  it("is passed over where it neither calls next nor answers", function()
    observer "return nil"
    assert.are.equal("x", add().content)
    assert.are.equal(1, #store:list({conversationId = "c1"}).messages)
  end)

  it("may still rewrite, where it does not fail", function()
    observer "op.content = 'y' return next(op)"
    assert.are.equal("y", add().content)
  end)

  it("is not passed over where it refuses, nor for an error from below, nor for a budget", function()
    observer [[if op.content == "refuse" then ctx:reject("denied", "no") end
      if op.content == "loop" then while true do end end
      return next(op)]]
    assert.are.equal("denied", support.error_of(add, "refuse").code)
    assert.are.equal("timeout", support.error_of(add, "loop").code)
    local err = support.error_of(store.add, store, {conversationId = "nowhere", role = "user", content = "x"})
    assert.are.equal("notFound", err.code)
    assert.are.equal(0, #store:list({conversationId = "c1"}).messages)
  end)
end)

describe("a layer whose onError is \"continue\", past a budget,", function()
  after_each(support.clean)

  it("is not passed over: not for time, instructions, memory or depth", function()
    for _, case in ipairs {
      {"timeout", {maxLuaMs = 300}, "while true do end"},
      {"timeout", {maxLuaInstructions = 100000}, "while true do end"},
      {"memory", {maxLuaMemory = 4 << 20, maxLuaMs = 60000}, "local t = {} for i = 1, math.huge do t[i] = 'x' .. i end"},
      {"depth", {maxExecDepth = 1}, "return ctx:exec(op)"},
    } do
      local store = support.open(case[2])
      store:createConversation {conversationId = "c1"}
      for _, name in ipairs {"outer", "observer"} do
        store:useString(name, ([[return {onError = "continue", ops = {"add"}, handle = function(op, next, ctx)
          %s
        end}]]):format((name == "observer" or case[1] == "depth") and case[3] or "return next(op)"))
      end
      local err = support.error_of(store.add, store, {conversationId = "c1", role = "user", content = "x"})
      assert.are.same({case[1], "observer"}, {err.code, err.layer})
      assert.are.equal(0, #store:list({conversationId = "c1"}).messages)
    end
  end)
end)

describe("quarantine", function()
  after_each(support.clean)

  it("keeps a layer from running after so many breaches, until it is loaded again", function()
    local path = support.path ".lua"
    local function write(text)
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
    end
    write [[return {name = "loops", ops = {"add"}, handle = function() while true do end end}]]
    local store = support.open {quarantineAfter = 2, maxLuaMs = 20}
    store:createConversation {conversationId = "c1"}
    store:use(path)
    local function add()
      return store:add {conversationId = "c1", role = "user", content = "x"}
    end
    for _ = 1, 2 do assert.is_truthy(support.error_of(add).message:find("budget", 1, true)) end
    local err = support.error_of(add)
    assert.are.same({"timeout", "loops"}, {err.code, err.layer})
    assert.is_truthy(err.message:find("quarantine", 1, true))
    store:createConversation {conversationId = "c2"} -- what it does not want is not kept back
    write [[return {name = "loops", ops = {"add"}, handle = function(op, next) return next(op) end}]]
    store:reload()
    assert.are.equal("x", add().message.content)
  end)
end)

describe("reload", function()
  local store, path

  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  local function stamp()
    return store:add({conversationId = "c1", role = "user", content = "x"}).message.content
  end

  before_each(function()
    path = support.path ".lua"
    store = support.open()
    store:createConversation {conversationId = "c1"}
    write [[local config = ... return {name = "stamp", ops = {"add"}, handle = function(op, next, ctx)
      ctx.state.count = (ctx.state.count or 0) + 1
      op.content = "one " .. config.word .. ctx.state.count
      return next(op)
    end}]]
    store:use(path, {word = "w"})
    store:useString("tail", "return function(op, next) if op.content then op.content = op.content .. '.' end return next(op) end")
  end)
  after_each(support.clean)

  it("takes the new file, with the old configuration and the old ctx.state, in its old place", function()
    assert.are.equal("one w1.", stamp())
    write [[local config = ... return {name = "stamp", ops = {"add"}, handle = function(op, next, ctx)
      ctx.state.count = ctx.state.count + 1
      op.content = "two " .. config.word .. ctx.state.count
      return next(op)
    end}]]
    store:reload()
    assert.are.equal("two w2.", stamp())
  end)

  it("keeps the old chain where a file does not load, and says why", function()
    for _, text in ipairs {"return {", "error('oops')", "return 7", "return {name = 'tail', handle = print}"} do
      write(text)
      local err = support.error_of(store.reload, store)
      assert.is_truthy(err.code == "invalid" or err.code == "middleware", err.code)
      assert.is_truthy(err.message ~= "")
    end
    os.remove(path)
    assert.are.equal("invalid", support.error_of(store.reload, store).code)
    assert.are.equal("one w1.", stamp())
  end)

  it("takes all the new files or none of them", function()
    local second = support.path ".lua"
    support.write(second, "return {name = 'second', ops = {'add'}, handle = function(op, next) return next(op) end}")
    store:use(second)
    assert.are.equal("one w1.", stamp())
    write [[return {name = "stamp", ops = {"add"}, handle = function(op, next) op.content = "new" return next(op) end}]]
    support.write(second, "return {")
    assert.are.equal("invalid", support.error_of(store.reload, store).code)
    assert.are.equal("one w2.", stamp())
    support.write(second, [[return {name = "second", ops = {"add"}, handle = function(op, next)
      op.content = op.content .. "+"
      return next(op)
    end}]])
    store:reload()
    assert.are.equal("new.+", stamp())
  end)

  it("is refused from within a layer", function()
    local inner
    store:use(function(op, next)
      inner = support.error_of(store.reload, store)
      return next(op)
    end, "meddles")
    stamp()
    assert.are.equal("misuse", inner.code)
  end)
end)

describe("explain", function()
  local store, path, log

  before_each(function()
    path, log = support.path(), {}
    store = support.seed(support.open({log = function(_, _, message) log[#log + 1] = message end}, path))
  end)
  after_each(support.clean)

  local function explain(content)
    return store:explain {op = "add", conversationId = "c1", messageId = "x", role = "user", content = content or "hello"}
  end

  it("tells layer by layer what changed on both ways, and the result", function()
    store:useString("rewrites", [[return function(op, next) op.content = op.content .. "!" return next(op) end]])
    store:useString("passes", [[return function(op, next) return next(op) end]])
    store:useString("changes", [[return function(op, next) local r = next(op) r.message.role = "x" return r end]])
    local told = explain()
    local steps = {}
    for i, step in ipairs(told.steps) do steps[i] = (step.layer or "terminal") .. " " .. (step.did or "ran") end
    assert.are.same({"rewrites rewrote", "passes passed", "changes rewrote", "terminal ran"}, steps)
    local change = told.steps[1].changes[1]
    assert.are.same({"content", "hello", "hello!"}, {change.path, change.before, change.after})
    assert.are.same({"ok", "hello!", "x"}, {told.outcome, told.result.message.content, told.result.message.role})
  end)

  it("goes through the chain and the terminal, and rolls everything back", function()
    store:useString("writes", [[return {ops = {"add"}, handle = function(op, next, ctx)
      ctx:exec {op = "add", conversationId = "c1", role = "note", content = "note"}
      local result = next(op)
      ctx:log("info", ctx:exec({op = "get", messageId = op.messageId}).message.content)
      return result
    end}]])
    local before = support.snapshot(store)
    assert.are.equal("ok", explain().outcome)
    assert.are.same({"hello"}, log)
    assert.are.equal(before, support.snapshot(store))
    assert.are.equal(before, support.snapshot(path))
    local told = store:explain {op = "add", conversationId = "nowhere", role = "user", content = "x"}
    assert.are.same({"error", "notFound"}, {told.outcome, told.error.code})
  end)

  it("sets ctx.dryRun, runs no afterCommit function, and leaves no trace of either in the next op", function()
    store:useString("looks", [[return {ops = {"add"}, handle = function(op, next, ctx)
      ctx:log("info", "dry " .. tostring(ctx.dryRun))
      ctx:afterCommit(function() ctx:log("info", "committed") end)
      return next(op)
    end}]])
    explain()
    assert.are.same({"dry true"}, log)
    store:add {conversationId = "c1", role = "user", content = "x"}
    assert.are.same({"dry true", "dry false", "committed"}, log)
  end)
end)

describe("a schema", function()
  local store
  before_each(function() store = support.open() end)
  after_each(support.clean)

  local function use(schema, config)
    store:useString("configured", ([[
      local config = ...
      local seen = config.limit
      return {schema = %s, handle = function(op, next)
        op.metadata = {limit = config.limit, seen = seen}
        return next(op)
      end}]]):format(schema), config)
  end

  it("gives the chunk its defaults", function()
    use "{limit = {type = 'integer', default = 7}}"
    assert.are.same({limit = 7, seen = 7}, store:createConversation({}).conversation.metadata)
  end)

  it("takes what fits", function()
    use("{limit = {type = 'integer', default = 7}}", {limit = 8})
    assert.are.same({limit = 8, seen = 8}, store:createConversation({}).conversation.metadata)
  end)

  it("refuses unknown keys, wrong types and missing ones at use, by layer, key and expectation", function()
    for _, case in ipairs {
      {"{limit = {type = 'integer'}}", {limt = 1}, {"limt", "limit"}},
      {"{limit = {type = 'integer'}}", {limit = "1"}, {"limit", "integer", "string"}},
      {"{limit = {type = 'integer'}}", {limit = 1.5}, {"limit", "integer"}},
      {"{limit = {type = 'text'}}", {limit = 1}, {"limit", "text"}},
      {"{limit = {type = 'list'}}", {limit = {a = 1}}, {"limit", "list"}},
      {"{limit = {type = 'boolean', required = true}}", nil, {"limit", "missing", "boolean"}},
      {"{limit = {type = 'whole'}}", nil, {"limit", "integer"}},
      {"{limit = 7}", nil, {"limit", "table"}},
    } do
      local err = support.error_of(use, case[1], case[2])
      assert.are.same({"invalid", "configured"}, {err.code, err.layer})
      for _, part in ipairs(case[3]) do
        assert.is_truthy(err.message:find(part, 1, true), ("%q is not in: %s"):format(part, err.message))
      end
    end
  end)
end)
