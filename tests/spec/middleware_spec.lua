-- The stock middleware but memory: redact, audit, soft-delete.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local json = holdfast.json

local function ids(rows)
  local found = {}
  for i, row in ipairs(rows) do found[i] = row.id end
  return found
end

describe("stock middleware", function()
  local store, records

  before_each(function()
    local log
    log, records = support.recorder()
    store = support.open {log = log}
  end)
  after_each(support.clean)

  it("is found by its name, with _ or -, and nothing else is", function()
    for _, name in ipairs {"redact", "audit", "soft_delete", "memory"} do support.open():use(name) end
    support.open():use "soft-delete"
    for _, name in ipairs {"", "redakt", "holdfast", "middleware.redact", "REDACT"} do
      assert.are.equal("invalid", support.error_of(store.use, store, name).code)
    end
    store:use "redact"
    assert.are.equal("invalid", support.error_of(store.use, store, "redact").code)
  end)

  -- ---- redact ----

  describe("redact", function()
    -- Put together here, so that no scanner takes them for real ones.
    local function letters(count) return ("aB3dE5gH"):rep(count // 8 + 1):sub(1, count) end
    local secrets = {
      "sk-" .. letters(40), "sk-ant-api03-" .. letters(60), "sk_live_" .. letters(24), "AKIA" .. ("A1"):rep(8),
      "ghp_" .. letters(36), "github_pat_" .. letters(60), "glpat-" .. letters(20), "xoxb-123456789012-" .. letters(24),
      "AIza" .. letters(35), "eyJ" .. letters(30) .. "." .. letters(40) .. "." .. letters(40),
      "-----BEGIN RSA PRIVATE KEY-----\n" .. letters(64) .. "\n-----END RSA PRIVATE KEY-----",
      "-----BEGIN PRIVATE KEY-----\n" .. letters(64) .. "\n-----END PRIVATE KEY-----",
    }

    local function stored(content, config)
      store = support.open()
      store:use("redact", config)
      store:createConversation {conversationId = "c1"}
      store:add {conversationId = "c1", messageId = "m1", role = "user", content = content}
      return store:get({messageId = "m1"}).message.content
    end

    it("replaces the secrets that it knows, wherever they stand", function()
      for _, secret in ipairs(secrets) do
        assert.are.equal("[redacted]", stored(secret))
        assert.are.equal("key=[redacted]. Grüße", stored("key=" .. secret .. ". Grüße"))
        assert.are.equal('[{"text":"[redacted]"},"[redacted]"]',
                         stored('[{"text":"' .. secret .. '"},"' .. secret .. '"]'))
      end
    end)

    it("leaves alone what only looks like one", function()
      for _, text in ipairs {
        "", "task-oriented and risk-averse", "sk-short", "ask-me-anything-about-everything", "AKIA", "eyJ.a.b", "ghp_",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----", "a long-hyphenated-word-that-is-not-a-key",
      } do
        assert.are.equal(text, stored(text))
      end
    end)

    it("cleans every text of every write, and the names of fields stay", function()
      local secret = secrets[1]
      store:use "redact"
      store:createConversation {conversationId = "c1", title = "a " .. secret, metadata = {[secret] = secret}}
      store:updateConversation {conversationId = "c1", title = "b " .. secret, updates = {k = {secret, {x = secret}}}}
      store:reserve {conversationId = "c1", messageId = "a1", role = "assistant", metadata = {k = secret}}
      store:updateContent {messageId = "a1", content = "c " .. secret}
      store:update {messageId = "a1", updates = {l = {deep = {{secret}}}}}
      store:batch {ops = {{op = "add", conversationId = "c1", role = "user", content = secret}}}
      local conversation = store:getConversation({conversationId = "c1"}).conversation
      assert.are.equal("b [redacted]", conversation.title)
      assert.are.same({[secret] = "[redacted]", k = {"[redacted]", {x = "[redacted]"}}}, conversation.metadata)
      local messages = store:list({conversationId = "c1"}).messages
      assert.are.equal("c [redacted]", messages[1].content)
      assert.are.same({k = "[redacted]", l = {deep = {{"[redacted]"}}}}, messages[1].metadata)
      assert.are.equal("[redacted]", messages[2].content)
    end)

    it("says to the log that it found something, and never what", function()
      store:use "redact"
      store:createConversation {conversationId = "c1"}
      store:add {conversationId = "c1", role = "user", content = "nothing"}
      assert.are.equal(0, #records)
      store:add {conversationId = "c1", messageId = "m1", role = "user", content = secrets[1] .. " " .. secrets[2],
                 metadata = {k = secrets[3]}}
      assert.are.equal(1, #records)
      assert.are.equal("redact", records[1].layer)
      assert.are.same({op = "add", conversationId = "c1", messageId = "m1", count = 3}, records[1].fields)
    end)

    it("takes patterns of the host's, with and without the least length", function()
      local config = {patterns = {"%d%d%d%d%-%d+", {pattern = "%u+", least = 5}}, replacement = "%1***"}
      assert.are.equal("card %1***, ABC, %1***", stored("card 1234-5678, ABC, ABCDE", config))
      assert.are.equal("%1***", stored(secrets[1], config))
      assert.are.equal("password [redacted]!", stored("password hunter2!", {patterns = {"hunter(%d)"}}))
    end)

    it("leaves its own patterns out where told so", function()
      assert.are.equal(secrets[1] .. " [redacted]", stored(secrets[1] .. " x", {defaults = false, patterns = {"%f[%w]x%f[%W]"}}))
    end)

    it("refuses a configuration that it does not understand", function()
      for _, config in ipairs {
        {patterns = "x"}, {patterns = {7}}, {patterns = {{}}}, {patterns = {{pattern = 7}}}, {patterns = {"["}},
        {patterns = {"%"}}, {patterns = {{pattern = "x", least = "5"}}}, {replacement = 7},
        {patterns = {{pattern = "x", least = 0}}}, {patterns = {{pattern = "x", longest = 0}}},
        {patterns = {{pattern = "x", least = 9, longest = 8}}}, {patterns = {{pattern = "x", longest = 65537}}},
        {patterns = {{pattern = "x", longest = 1.5}}}, {patterns = {{pattern = "x", least = 300}}},
        {patterns = {{pattern = "x", start = ""}}}, {patterns = {{pattern = "x", start = 1}}},
        {patterns = {{pattern = "x", start = "xyz", longest = 2}}}, {patterns = {{pattern = "x", begin = "x"}}},
        {replacement = {}}, {defaults = "no"}, {pattern = {"x"}}, {patterns = {x = "y"}},
      } do
        local err = support.error_of(store.use, store, "redact", config)
        assert.is_truthy(err.code == "invalid" or err.code == "middleware", json.encode(config))
        assert.are.equal("redact", err.layer)
        assert.is_truthy(err.message:find "configuration: " or err.message:find "patterns%[", err.message)
      end
      store:use "redact"
    end)

    it("leaves the text of real conversations as it is", function()
      local file = io.open "../shared/data/taskmaster4.chat.jsonl"
      if file == nil then return pending "the recorded conversations are not there" end
      store:use "redact"
      for line in file:lines() do
        local chat = json.decode(line)
        store:createConversation {conversationId = "c", metadata = chat}
        local kept = store:getConversation({conversationId = "c"}).conversation.metadata
        assert.are.equal(json.encode(chat), json.encode(kept))
        for _, message in ipairs(chat.messages) do
          if type(message.content) == "string" then
            local id = store:add({conversationId = "c", role = message.role, content = message.content}).message.id
            assert.are.equal(message.content, store:get({messageId = id}).message.content)
          end
        end
        store:deleteConversation {conversationId = "c"}
      end
      file:close()
      assert.are.equal(0, #records)
    end)
  end)

  -- ---- audit ----

  describe("audit", function()
    it("writes one record for each op of the list, found by walking it", function()
      for _, name in ipairs(holdfast.ops) do
        local log, found = support.recorder()
        store = support.seed_samples(support.open {log = log})
        store:use "audit"
        store:exec(support.sample(name))
        local count = 0
        for _, record in ipairs(found) do
          assert.are.equal("audit", record.layer)
          assert.are.equal("info", record.level)
          assert.are.equal("ok", record.fields.outcome)
          assert.are.equal("integer", math.type(record.fields.ms))
          count = count + (record.fields.op == name and 1 or 0)
        end
        assert.are.equal(1, count, name)
        assert.are.equal(name == "batch" and 2 or 1, #found, name)
      end
    end)

    it("says who and what, and no content", function()
      support.seed(store)
      store:use "audit"
      store:add({conversationId = "c1", messageId = "x", role = "user", content = "äöü private",
                 metadata = {note = "private"}}, {requestId = "r1"})
      local fields = records[1].fields
      fields.ms = nil
      assert.are.same({op = "add", conversationId = "c1", messageId = "x", role = "user", bytes = 14, outcome = "ok",
                       requestId = "r1"}, fields)
      store:createConversation {title = "private", metadata = {a = "private"}}
      store:update {messageId = "x", updates = {b = "private"}}
      store:list {conversationId = "c1"}
      assert.are.equal(4, #records)
      for _, record in ipairs(records) do
        assert.is_nil(json.encode(record.fields):find("private", 1, true))
        assert.is_nil(record.message:find("private", 1, true))
      end
    end)

    it("refuses a level that the log does not have, at use", function()
      local err = support.error_of(store.use, store, "audit", {level = "loud"})
      assert.are.equal("audit", err.layer)
      assert.is_truthy(err.message:find("loud", 1, true))
    end)

    it("records failures with their code, and the host gets the error as it was", function()
      store:use "audit"
      store:useString("denies", [[return {ops = {"delete"}, handle = function(_, _, ctx) ctx:reject("mine", "no") end}]])
      store:useString("raises", [[return {ops = {"update"}, handle = function() error "oops" end}]])
      assert.are.equal("notFound", support.error_of(store.updateContent, store, {messageId = "x", content = "y"}).code)
      assert.are.equal("mine", support.error_of(store.delete, store, {messageId = "x"}).code)
      local err = support.error_of(store.update, store, {messageId = "x", updates = {}})
      assert.are.equal("raises", err.layer)
      local outcomes = {}
      for i, record in ipairs(records) do outcomes[i] = record.fields.outcome end
      assert.are.same({"notFound", "mine", "middleware"}, outcomes)
    end)

    it("keeps to the ops and the level that it is given", function()
      store:use("audit", {ops = {"get"}, level = "debug"})
      support.seed(store)
      store:get {messageId = "m1"}
      assert.are.equal(1, #records)
      assert.are.equal("debug", records[1].level)
      assert.are.equal("invalid", support.error_of(store.use, store, "audit", {ops = {"got"}}).code)
    end)

    it("changes nothing", function()
      local plain, audited = support.open(), support.open()
      audited:use "audit"
      for _, each in ipairs {plain, audited} do
        support.seed(each)
        each:add {conversationId = "c1", messageId = "m2", role = "user", content = "x", metadata = {a = {}}}
      end
      local function row(from) local message = from:get({messageId = "m2"}).message message.createdAt = 0 return message end
      assert.are.same(row(plain), row(audited))
    end)
  end)

  -- ---- soft-delete ----

  describe("soft-delete", function()
    it("hides a deleted message from get and list, and keeps it in the file", function()
      local path = support.path()
      store = support.open(nil, path)
      store:use "soft-delete"
      support.seed(store)
      store:update {messageId = "m1", updates = {a = {}}}
      local result = store:delete {messageId = "m1"}
      assert.are.same({op = "delete", deleted = true, segmentIds = {"m1"}, deletedSummaryIds = {}}, result)
      assert.is_nil(store:get({messageId = "m1"}).message)
      assert.are.same({}, store:search({query = "one"}).hits)
      assert.are.equal("notFound", support.error_of(store.read, store, {messageId = "m1"}).code)
      assert.are.same({messages = {}, hasMore = false, op = "list"}, store:list {conversationId = "c1"})
      store:close()
      store = support.open(nil, path)
      local message = store:get({messageId = "m1"}).message
      assert.are.equal("one", message.content)
      assert.are.equal("integer", math.type(message.metadata.deletedAt))
      assert.are.same({}, message.metadata.a)
    end)

    it("of a message that is gone, or was never there, says deleted = false", function()
      store:use "soft-delete"
      support.seed(store)
      assert.is_false(store:delete({messageId = "nothing"}).deleted)
      assert.is_true(store:delete({messageId = "m1"}).deleted)
      assert.is_false(store:delete({messageId = "m1"}).deleted)
    end)

    it("works in a batch, and is undone with it", function()
      store:use "soft-delete"
      support.seed(store)
      local bad = {{op = "delete", messageId = "m1"}, {op = "updateContent", messageId = "nothing", content = ""}}
      assert.are.equal("notFound", support.error_of(store.batch, store, {ops = bad}).code)
      assert.are.equal("m1", store:get({messageId = "m1"}).message.id)
      assert.is_true(store:batch({ops = {bad[1]}}).results[1].deleted)
      assert.is_nil(store:get({messageId = "m1"}).message)
    end)

    it("pages as if the deleted messages had never been there", function()
      local plain = support.open()
      store:use "soft-delete"
      local gone = {[1] = true, [4] = true, [5] = true, [6] = true, [7] = true, [11] = true, [12] = true}
      for _, each in ipairs {plain, store} do
        each:createConversation {conversationId = "c1"}
        for i = 1, 12 do
          local id = ("m%02d"):format(i)
          if i % 4 == 2 then
            each:reserve {conversationId = "c1", messageId = id, role = "assistant"}
          else
            each:add {conversationId = "c1", messageId = id, role = "user", content = ""}
          end
        end
        for i in pairs(gone) do each:delete {messageId = ("m%02d"):format(i)} end
      end
      local kept = ids(plain:list({conversationId = "c1"}).messages)
      assert.are.equal(5, #kept)
      table.insert(kept, false)
      for limit = 1, 7 do
        for _, states in ipairs {false, {"final"}, {"reserved"}} do
          for _, before in ipairs(kept) do
            for _, after in ipairs(kept) do
              local op = {conversationId = "c1", limit = limit, before = before or nil, after = after or nil,
                          states = states or nil}
              local expected, found = plain:list(op), store:list(op)
              assert.are.same({ids(expected.messages), expected.hasMore}, {ids(found.messages), found.hasMore},
                              json.encode(op))
            end
          end
        end
      end
    end)
  end)
end)
