-- What Holdfast was founded for.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

describe("founding:", function()
  after_each(support.clean)

  it("reserve gives a row with an id, content \"[]\", state reserved and the given metadata", function()
    local store = support.seed(support.open())
    local reserved = store:reserve {conversationId = "c1", role = "assistant", metadata = {model = "m", n = 1}}
    local stored = store:get({messageId = reserved.message.id}).message
    assert.are.same(reserved.message, stored)
    assert.are.equal("[]", stored.content)
    assert.are.equal("reserved", stored.state)
    assert.are.equal("assistant", stored.role)
    assert.are.same({model = "m", n = 1}, stored.metadata)
    assert.is_nil(reserved.deduplicated)
  end)

  it("updateContent finalises a reserved row in place, and the row equals what a direct write gives", function()
    local content = '[{"type":"text","text":"hello"}]'
    local function write(direct)
      local store = support.seed(support.open {now = support.clock()})
      local fields = {conversationId = "c1", messageId = "a1", role = "assistant", metadata = {model = "m"}}
      if direct then
        fields.content = content
        store:add(fields)
      else
        store:reserve(fields)
        store:add {conversationId = "c1", messageId = "later", role = "user", content = "meanwhile"}
        store:updateContent {messageId = "a1", content = content}
        assert.are.equal("a1", store:list({conversationId = "c1"}).messages[2].id)
      end
      return store:get({messageId = "a1"}).message
    end
    local streamed, direct = write(false), write(true)
    assert.are.equal("final", streamed.state)
    assert.are.same(direct, streamed)
  end)

  describe("a middleware that redirects every op to memory leaves the file unchanged for", function()
    for _, name in ipairs(holdfast.ops) do
      it(name, function()
        local path, op = support.path(), support.sample(name)
        support.seed_samples(support.open(nil, path)):close()
        local before = support.snapshot(path)

        local store = support.open(nil, path)
        store:use "memory"
        support.seed_samples(store)
        assert.are.equal(name, store:exec(op).op)
        store:close()

        assert.are.equal(before, support.snapshot(path))
      end)
    end
  end)

  it("what went to memory is answered from memory", function()
    local path = support.path()
    local store = support.open(nil, path)
    store:use "memory"
    support.seed(store)
    assert.are.equal("one", store:get({messageId = "m1"}).message.content)
    assert.are.equal(1, #store:list({conversationId = "c1"}).messages)
    store:close()
    assert.are.equal("[]", support.snapshot(path))
  end)

  it("a layer that is registered last still runs, whatever came before it", function()
    local log, records = support.recorder()
    local store = support.open {log = log}
    local seen = {}
    store:use "redact"
    store:use "audit"
    store:use(function(op, next)
      seen[#seen + 1] = op.op
      return next(op)
    end, "last")
    support.seed(store)
    store:useString("very-last", [[return function(op, next, ctx) ctx:log("info", "seen") return next(op) end]])
    store:add {conversationId = "c1", role = "user", content = "two"}
    assert.are.same({"createConversation", "add", "add"}, seen)
    local very_last = 0
    for _, record in ipairs(records) do very_last = very_last + (record.layer == "very-last" and 1 or 0) end
    assert.are.equal(1, very_last)
  end)

  it("an error after next leaves no row", function()
    local path = support.path()
    local store = support.seed(support.open(nil, path))
    local before = support.snapshot(store)
    local stored
    store:use(function(op, next, ctx)
      next(op)
      stored = ctx:exec({op = "get", messageId = op.messageId}).message
      error "too late"
    end, "late")
    local err = support.error_of(store.add, store, {conversationId = "c1", role = "user", content = "two"})
    assert.are.equal("middleware", err.code)
    assert.are.equal("late", err.layer)
    assert.are.equal("two", stored.content)
    assert.are.equal(before, support.snapshot(store))
    store:close()
    assert.are.equal(before, support.snapshot(path))
  end)

  it("a sandboxed layer's error after next leaves no row", function()
    local store = support.seed(support.open())
    local before = support.snapshot(store)
    store:useString("late", [[return function(op, next) next(op) error "too late" end]])
    local err = support.error_of(store.add, store, {conversationId = "c1", role = "user", content = "two"})
    assert.are.equal("middleware", err.code)
    assert.are.equal("late", err.layer)
    assert.are.equal(before, support.snapshot(store))
  end)
end)
