-- The stock middleware memory: below other layers, beside the database, and by itself, without an engine.
-- property_spec compares it with the database at length.

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local holdfast = require "holdfast"
local support = dofile(here .. "support.lua")
local model = dofile(here .. "../support/model.lua")

local json, list = holdfast.json, holdfast.list

local function op(name, fields)
  fields.op = name
  return fields
end

describe("memory", function()
  after_each(support.clean)

  -- ---- Beside the database ----

  -- A result without what clocks, chance and each side's taste put into it.
  local function timeless(result)
    local text = json.encode(result):gsub('"%w+At":%d+', '"At":0'):gsub('"snippet":"[^"]*"', ""):gsub('"score":[^,}]*', "")
    return (text:gsub("%x+%-%x+%-7%x+%-%x+%-%x+", "minted"))
  end

  local story = {
    op("createConversation", {conversationId = "c1", title = "a", metadata = {k = {}}}),
    op("createConversation", {conversationId = "c1", title = "b"}),
    op("createConversation", {conversationId = "c2", originChannel = "web"}),
    op("add", {conversationId = "c1", messageId = "m1", role = "user", content = "one", clientMessageId = "k1",
               metadata = {userMessageChannel = "mail", l = list {}, z = holdfast.null}}),
    op("add", {conversationId = "c1", messageId = "m1", role = "user", content = "again"}),
    op("add", {conversationId = "c1", messageId = "m1", role = "bot", content = "again"}),
    op("add", {conversationId = "c2", messageId = "m1", role = "user", content = "again"}),
    op("add", {conversationId = "c1", messageId = "m9", role = "bot", content = "x", clientMessageId = "k1"}),
    op("add", {conversationId = "nowhere", messageId = "m9", role = "user", content = "x"}),
    op("getConversation", {conversationId = "c1"}), op("getConversation", {conversationId = "nowhere"}),
    op("reserve", {conversationId = "c1", messageId = "m2", role = "assistant"}),
    op("get", {messageId = "m2"}), op("read", {messageId = "m2"}),
    op("append", {messageId = "m2", delta = "", seq = 1}), op("get", {messageId = "m2"}),
    op("append", {messageId = "m2", delta = "Grüße"}), op("append", {messageId = "m2", delta = "Grüße", seq = 2}),
    op("append", {messageId = "m2", delta = "other", seq = 2}), op("append", {messageId = "m2", delta = "x", seq = 4}),
    op("append", {messageId = "nothing", delta = "x"}), op("read", {messageId = "m2", after = 1}),
    op("read", {messageId = "nothing"}), op("getConversation", {conversationId = "c1"}),
    op("updateContent", {messageId = "m2", content = "done"}), op("append", {messageId = "m2", delta = "late"}),
    op("abort", {messageId = "m2"}), op("abort", {messageId = "nothing"}), op("read", {messageId = "m2"}),
    op("updateContent", {messageId = "nothing", content = "done"}),
    op("get", {messageId = "m2"}), op("get", {messageId = "nothing"}),
    op("getConversation", {conversationId = "c1"}), op("markSeen", {conversationId = "c1", messageId = "m1"}),
    op("markSeen", {conversationId = "c1"}), op("getConversation", {conversationId = "c1"}),
    op("markSeen", {conversationId = "c2"}), op("markSeen", {conversationId = "c2", messageId = "m1"}),
    op("markSeen", {conversationId = "nowhere"}),
    op("update", {messageId = "m1", updates = {l = {1}, n = 1.5}}), op("get", {messageId = "m1"}),
    op("update", {messageId = "m2", updates = {}}), op("get", {messageId = "m2"}),
    op("update", {messageId = "nothing", updates = {}}),
    op("updateConversation", {conversationId = "c1", updates = {k = 1}, originChannel = "x"}),
    op("updateConversation", {conversationId = "nowhere", title = "x"}),
    op("search", {query = "DONE"}), op("search", {query = "one", conversationId = "c1"}),
    op("search", {query = "one done"}), op("search", {query = "on"}),
    op("fork", {conversationId = "c1"}), op("fork", {conversationId = "c1", throughMessageId = "m1", title = "f"}),
    op("fork", {conversationId = "nowhere"}), op("fork", {conversationId = "c2", throughMessageId = "m1"}),
    op("batch", {ops = {op("add", {conversationId = "c2", messageId = "n1", role = "user", content = "1"}),
                        op("reserve", {conversationId = "c2", messageId = "n2", role = "user"}),
                        op("append", {messageId = "n2", delta = "partial"}),
                        op("delete", {messageId = "nothing"})}}),
    op("abort", {messageId = "n2", reason = "enough"}), op("abort", {messageId = "n2", reason = "again"}),
    op("append", {messageId = "n2", delta = "late"}), op("read", {messageId = "n2"}),
    op("fork", {conversationId = "c2", throughMessageId = "n2"}),
    op("listConversations", {}), op("listConversations", {limit = 1}), op("listConversations", {before = "c2"}),
    op("listConversations", {before = "nowhere"}),
    op("list", {conversationId = "c1"}), op("list", {conversationId = "c1", limit = 1}),
    op("list", {conversationId = "c1", after = "m1"}), op("list", {conversationId = "c1", before = "m2"}),
    op("list", {conversationId = "c1", before = "n1"}), op("list", {conversationId = "nowhere"}),
    op("list", {conversationId = "c2", states = {"aborted"}}),
    op("delete", {messageId = "m2"}), op("delete", {messageId = "m2"}), op("getConversation", {conversationId = "c1"}),
    op("list", {conversationId = "c1", before = "m2"}), op("list", {conversationId = "c1", after = "m2"}),
    op("delete", {messageId = "m1"}), op("getConversation", {conversationId = "c1"}),
    op("updateConversation", {conversationId = "c1", updates = {private = true}}), op("fork", {conversationId = "c1"}),
    op("deleteConversation", {conversationId = "c2"}), op("get", {messageId = "n1"}),
    op("deleteConversation", {conversationId = "c2"}), op("listConversations", {}),
  }

  it("answers as the database does", function()
    local plain = support.open {now = support.clock()}
    local store = support.open {now = support.clock()}
    store:use "memory"
    for i, step in ipairs(story) do
      local good, expected = pcall(plain.exec, plain, step)
      local found_good, found = pcall(store.exec, store, step)
      local what = i .. ": " .. json.encode(step)
      assert.are.equal(good, found_good, what .. ": " .. tostring(good and found or expected))
      if good then
        assert.are.equal(timeless(expected), timeless(found), what)
      else
        assert.are.equal(expected.code, found.code, what)
      end
    end
  end)

  it("has told every op of the list in that story", function()
    local told = {}
    for _, step in ipairs(story) do told[step.op] = true end
    for _, name in ipairs(holdfast.ops) do assert.is_true(told[name], name) end
  end)

  -- ---- Below other layers ----

  it("gives rows that the host cannot change from without", function()
    local store = support.open()
    store:use "memory"
    support.seed(store)
    store:get({messageId = "m1"}).message.content = "changed"
    assert.are.equal("one", store:get({messageId = "m1"}).message.content)
  end)

  it("keeps nothing that a layer of the same state could change later", function()
    local store = support.open()
    store:use({name = "meddler", ops = {"add", "get"}, handle = function(given, next)
      local result = next(given)
      if given.metadata then given.metadata.inner.a = "changed" end
      if result.message.metadata then result.message.metadata.inner.a = "changed" end
      return result
    end})
    local layer = require "holdfast.middleware.memory"
    store:use({name = "memory", ops = "*", handle = layer.handle})
    support.seed(store)
    store:add {conversationId = "c1", messageId = "m2", role = "user", content = "", metadata = {inner = {a = 1}}}
    store:get {messageId = "m2"}
    assert.are.equal(1, store:list({conversationId = "c1"}).messages[2].metadata.inner.a)
  end)

  it("sits below other layers like any terminal", function()
    local secret = "sk-" .. ("a1b2"):rep(10)
    local store = support.open()
    store:use "redact"
    store:use "memory"
    support.seed(store)
    store:updateContent {messageId = "m1", content = secret}
    assert.are.equal("[redacted]", store:get({messageId = "m1"}).message.content)
    store:batch {ops = {op("updateContent", {messageId = "m1", content = secret .. " in a batch"})}}
    assert.are.equal("[redacted] in a batch", store:get({messageId = "m1"}).message.content)
  end)

  it("keeps nothing of a batch in which an op fails, below or above it", function()
    local store, fails = support.open(), nil
    store:use({name = "strict", ops = {"add"}, handle = function(given, next, ctx)
      local result = next(given)
      if given.content == fails then ctx:reject("denied", "not that") end
      return result
    end})
    store:use "memory"
    support.seed(store)
    local before = support.snapshot(store)
    local function refused(...)
      local ops = list {op("createConversation", {conversationId = "c2"}),
                        op("add", {conversationId = "c1", messageId = "m2", role = "user", content = "two"}),
                        op("delete", {messageId = "m1"}), ...}
      local err = support.error_of(store.batch, store, {ops = ops})
      assert.are.equal(before, support.snapshot(store))
      return err.code
    end
    assert.are.equal("notFound", refused(op("update", {messageId = "nothing", updates = {}})))
    fails = "two"
    assert.are.equal("denied", refused())
  end)

  -- The layer that ends the batch is stopped for good by its budget: memory has no say before the next op.
  it("keeps nothing of a batch that went past a budget", function()
    local store = support.open {maxLuaInstructions = 1000000}
    store:useString("endless", [[return {ops = {"add"}, handle = function(op, next)
      while op.content == "endless" do end
      return next(op)
    end}]])
    store:use "memory"
    support.seed(store)
    local before = support.snapshot(store)
    local err = support.error_of(store.batch, store, {ops = {
      op("delete", {messageId = "m1"}), op("add", {conversationId = "c1", role = "user", content = "endless"}),
    }})
    assert.are.equal("timeout", err.code)
    assert.are.equal(before, support.snapshot(store))
  end)

  -- ---- By itself ----

  describe("without an engine", function()
    local memory

    local function run(name, fields) return memory:exec(op(name, fields), {times = {}, ids = {}}) end

    local function code_of(name, fields) return support.error_of(run, name, fields).code end

    before_each(function()
      memory = model.new()
      memory:set_clock(5000)
      run("createConversation", {conversationId = "c1"})
    end)

    local function add(id, fields)
      fields = fields or {}
      fields.conversationId, fields.messageId, fields.content = "c1", id, fields.content or id
      fields.role = fields.role or "user"
      return run("add", fields).message
    end

    it("times rise when the clock does not", function()
      local last = 0
      for i, time in ipairs {5000, 5000, 1, 7000, 6999} do
        memory:set_clock(time)
        local now = add("m" .. i).createdAt
        assert.is_true(now > last and now >= time)
        last = now
      end
    end)

    it("an append costs the same however much is there", function()
      run("reserve", {conversationId = "c1", messageId = "a1", role = "assistant"})
      local delta = ("x"):rep(100)
      for _ = 1, 1000 do run("append", {messageId = "a1", delta = delta}) end
      collectgarbage()
      collectgarbage "stop"
      local before = collectgarbage "count"
      for _ = 1, 100 do run("append", {messageId = "a1", delta = delta}) end
      local used = collectgarbage "count" - before
      collectgarbage "restart"
      assert.is_true(used < 500, ("100 appends used %.0f KiB"):format(used))
      assert.are.equal(110000, #run("get", {messageId = "a1"}).message.content)
    end)

    it("search refuses what is more than words", function()
      for _, query in ipairs {"one AND two", "one*", '"one two"', "NEAR(one two)", "^one", "one + two", "", " - "} do
        assert.are.equal("invalid", code_of("search", {query = query}), query)
      end
    end)

    it("search finds whole words, whatever is between them", function()
      add("m1", {content = "C++ isn't a Straße; one-two"})
      for _, query in ipairs {"c", "ISN'T", "Straße", "two one", "one-two!", "isn c++"} do
        assert.are.equal(1, #run("search", {query = query}).hits, query)
      end
      for _, query in ipairs {"is", "on", "two-one", "Stra", "one three"} do
        assert.are.equal(0, #run("search", {query = query}).hits, query)
      end
    end)

    it("search gives the newest first, their text cut short between characters", function()
      for i = 1, 3 do add("m" .. i, {content = "word " .. ("ü"):rep(100)}) end
      local hits = run("search", {query = "Word", limit = 2}).hits
      assert.are.same({"m3", "m2", 2}, {hits[1].message.id, hits[2].message.id, #hits})
      assert.are.equal(1.0, hits[1].score)
      assert.is_truthy(utf8.len(hits[1].snippet))
      assert.is_true(#hits[1].snippet < 100)
    end)

    it("a message that is left out of the index has no segment", function()
      add("m1", {addOptions = {skipIndexing = true}})
      add("m2")
      run("updateContent", {messageId = "m2", content = "new", index = false})
      add("m3")
      assert.are.same(list {}, run("delete", {messageId = "m1"}).segmentIds)
      assert.are.same(list {"m3"}, run("deleteConversation", {conversationId = "c1"}).segmentIds)
    end)

    it("rows differ by one op and no more where a batch failed in its middle", function()
      add("m1", {role = "assistant", clientMessageId = "k1", metadata = {a = 1}})
      run("reserve", {conversationId = "c1", messageId = "a1", role = "assistant"})
      run("append", {messageId = "a1", delta = "one"})
      local function everything()
        return json.encode(list {
          run("listConversations", {}), run("list", {conversationId = "c1"}), run("read", {messageId = "a1"}),
          run("search", {query = "m1"}),
        })
      end
      local before = everything()
      assert.are.equal("conflict", code_of("batch", {ops = {
        op("append", {messageId = "a1", delta = "two"}), op("updateContent", {messageId = "a1", content = "m1"}),
        op("delete", {messageId = "m1"}), op("markSeen", {conversationId = "c1"}), op("fork", {conversationId = "c1"}),
        op("updateConversation", {conversationId = "c1", title = "x", updates = {a = 1}}),
        op("add", {conversationId = "c1", messageId = "m2", role = "user", content = "", clientMessageId = "k1"}),
        op("append", {messageId = "a1", delta = "late"}),
      }}))
      assert.are.equal(before, everything())
      assert.is_true(run("reserve", {conversationId = "c1", messageId = "m9", role = "user", clientMessageId = "k1"}).deduplicated)
    end)
  end)
end)
