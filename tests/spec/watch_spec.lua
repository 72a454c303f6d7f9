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
