-- Each op and its rules, without layers.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local uuid7 = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local function ids(rows)
  local found = {}
  for i, row in ipairs(rows) do found[i] = row.id end
  return found
end

-- A clock that moves only when the spec moves it.
local function clock(start)
  local self = {time = start or 1000}
  self.now = function() return self.time end
  return self
end

describe("ops:", function()
  local store

  local function fails(code, op)
    local before = support.snapshot(store)
    local err = support.error_of(store.exec, store, op)
    assert.are.equal(code, err.code)
    assert.are.equal(op.op, err.op)
    assert.are.equal(before, support.snapshot(store))
    return err
  end

  before_each(function() store = support.open() end)
  after_each(support.clean)

  it("every op of the list is a method of the store and answers under its name", function()
    for _, name in ipairs(holdfast.ops) do
      local op = support.sample(name)
      local fresh = support.seed_samples(support.open())
      assert.are.equal(name, fresh:exec(op).op)
      fresh, op.op = support.seed_samples(support.open()), nil
      assert.are.equal(name, fresh[name](fresh, op).op)
    end
  end)

  describe("createConversation", function()
    it("mints a UUID version 7 and stores nothing that was not given", function()
      local made = store:createConversation().conversation
      assert.is_truthy(made.id:match(uuid7))
      assert.are.equal(made.createdAt, made.updatedAt)
      assert.are.same(made, store:getConversation({conversationId = made.id}).conversation)
      assert.is_nil(made.title)
      assert.is_nil(made.originChannel)
      assert.is_nil(made.lastMessageAt)
      assert.is_nil(made.metadata)
    end)

    it("keeps id, title, originChannel and metadata", function()
      local made = store:createConversation({
        conversationId = "c1", title = "Grüße", originChannel = "mail", metadata = {a = {1, 2}},
      }).conversation
      assert.are.equal("c1", made.id)
      assert.are.equal("Grüße", made.title)
      assert.are.equal("mail", made.originChannel)
      assert.are.same({a = {1, 2}}, made.metadata)
      assert.are.same(made, store:getConversation({conversationId = "c1"}).conversation)
    end)

    it("of an id that exists returns the stored one as it is now, whatever else is given, and writes nothing", function()
      local function stored() return store:getConversation({conversationId = "c1"}).conversation end
      local other = {conversationId = "c1", title = "x", originChannel = "chat", metadata = {b = 2}}
      local given = {conversationId = "c1", title = "first", originChannel = "mail", metadata = {a = 1}}
      store:createConversation(given)
      for _, op in ipairs {other, {conversationId = "c1"}, given} do
        local before, row = support.snapshot(store), stored()
        assert.are.same({op = "createConversation", conversation = row}, store:createConversation(op))
        assert.are.equal(before, support.snapshot(store))
      end
      store:updateConversation {conversationId = "c1", title = "second"}
      store:add {conversationId = "c1", role = "user", content = "one"}
      assert.are.same(stored(), store:createConversation(given).conversation)
      assert.are.equal("second", stored().title)
    end)

    it("of an id that exists fills in nothing that the stored one lacks", function()
      local made = store:createConversation({conversationId = "c1"}).conversation
      store:createConversation {conversationId = "c1", title = "x", originChannel = "chat", metadata = {b = 2}}
      assert.are.same(made, store:getConversation({conversationId = "c1"}).conversation)
    end)

    it("mints ids in the order of time", function()
      local last = ""
      for _ = 1, 50 do
        local id = store:createConversation().conversation.id
        assert.is_true(last < id)
        last = id
      end
    end)
  end)

  describe("updateConversation", function()
    it("sets what is given, merges the metadata, and leaves the rest", function()
      store:createConversation {conversationId = "c1", title = "a", originChannel = "x", metadata = {k = 1, l = 2}}
      local updated = store:updateConversation({conversationId = "c1", title = "b", updates = {l = 3, m = 4}})
      assert.are.equal("b", updated.conversation.title)
      assert.are.equal("x", updated.conversation.originChannel)
      assert.are.same({k = 1, l = 3, m = 4}, updated.conversation.metadata)
      assert.are.same(updated.conversation, store:getConversation({conversationId = "c1"}).conversation)
      updated = store:updateConversation({conversationId = "c1", originChannel = "y"}).conversation
      assert.are.equal("b", updated.title)
      assert.are.equal("y", updated.originChannel)
    end)

    it("moves updatedAt, not createdAt", function()
      local made = store:createConversation({conversationId = "c1"}).conversation
      local updated = store:updateConversation({conversationId = "c1", title = "b"}).conversation
      assert.are.equal(made.createdAt, updated.createdAt)
      assert.is_true(updated.updatedAt > made.updatedAt)
    end)

    it("of an unknown conversation is notFound", function()
      local err = fails("notFound", {op = "updateConversation", conversationId = "nowhere", title = "b"})
      assert.is_truthy(err.message:find("nowhere", 1, true))
    end)
  end)

  describe("deleteConversation", function()
    it("deletes it with its messages, and says how many", function()
      support.seed(store)
      store:add {conversationId = "c1", messageId = "m2", role = "user", content = "two"}
      store:createConversation {conversationId = "c2"}
      store:add {conversationId = "c2", messageId = "n1", role = "user", content = "other"}
      local result = store:deleteConversation {conversationId = "c1"}
      assert.are.equal(2, result.deletedMessages)
      assert.are.equal('{"deletedMessages":2,"op":"deleteConversation","segmentIds":["m1","m2"]}',
                       holdfast.json.encode(result))
      assert.is_nil(store:getConversation({conversationId = "c1"}).conversation)
      assert.is_nil(store:get({messageId = "m1"}).message)
      assert.are.equal("other", store:get({messageId = "n1"}).message.content)
    end)

    it("of an unknown conversation is notFound", function()
      fails("notFound", {op = "deleteConversation", conversationId = "nowhere"})
    end)
  end)

  describe("add", function()
    before_each(function() store:createConversation {conversationId = "c1"} end)

    it("mints a UUID version 7 and answers with the row that get gives", function()
      local message = store:add({conversationId = "c1", role = "user", content = "hello"}).message
      assert.is_truthy(message.id:match(uuid7))
      assert.are.equal("c1", message.conversationId)
      assert.are.equal("user", message.role)
      assert.are.equal("hello", message.content)
      assert.are.equal("final", message.state)
      assert.are.equal("integer", math.type(message.createdAt))
      assert.is_nil(message.metadata)
      assert.is_nil(message.clientMessageId)
      assert.are.same(message, store:get({messageId = message.id}).message)
    end)

    it("takes every field that it has, and createdAtMs does not touch the row", function()
      local message = store:add({
        conversationId = "c1", role = "user", content = "", messageId = "m1", metadata = {a = 1},
        clientMessageId = "k1", addOptions = {skipIndexing = true}, syncToDisk = false, createdAtMs = 5,
      }).message
      assert.are.equal("m1", message.id)
      assert.are.equal("", message.content)
      assert.are.equal("k1", message.clientMessageId)
      assert.are.same({a = 1}, message.metadata)
      assert.is_true(message.createdAt > 5)
    end)

    it("takes null for an optional field as its absence", function()
      local null = holdfast.null
      local message = store:add({
        conversationId = "c1", role = "user", content = "x", messageId = null, metadata = null,
        clientMessageId = null, addOptions = null, syncToDisk = null, createdAtMs = null,
      }).message
      assert.is_truthy(message.id:match(uuid7))
      assert.is_nil(message.metadata)
      assert.is_nil(message.clientMessageId)
      store:add {conversationId = "c1", role = "user", content = "x", addOptions = {skipIndexing = null}}
    end)

    it("keeps long and strange text as it is", function()
      local content = ("ü\u{10FFFF}\1\r\n\t\"\\"):rep(20000)
      local id = store:add({conversationId = "c1", role = "user", content = content}).message.id
      assert.is_true(store:get({messageId = id}).message.content == content)
    end)

    it("takes ids of 1 to 128 bytes and roles of 1 to 64", function()
      for _, id in ipairs {"a", "ü ../'\"", ("x"):rep(128)} do
        assert.are.equal(id, store:add({conversationId = "c1", role = "user", content = "", messageId = id}).message.id)
      end
      local role = ("r"):rep(64)
      assert.are.equal(role, store:add({conversationId = "c1", role = role, content = ""}).message.role)
    end)

    it("of an id that exists, with the same conversation and role, returns the stored row", function()
      local first = store:add({conversationId = "c1", messageId = "m1", role = "user", content = "one"}).message
      local before = support.snapshot(store)
      local repeated = store:add {conversationId = "c1", messageId = "m1", role = "user", content = "two"}
      assert.is_true(repeated.deduplicated)
      assert.are.same(first, repeated.message)
      assert.are.equal(before, support.snapshot(store))
    end)

    it("of an id that exists with another role or conversation is a conflict", function()
      store:createConversation {conversationId = "c2"}
      store:add {conversationId = "c1", messageId = "m1", role = "user", content = "one"}
      local err = fails("conflict", {op = "add", conversationId = "c1", messageId = "m1", role = "bot", content = ""})
      assert.are.equal("m1", err.messageId)
      assert.is_truthy(err.message:find("m1", 1, true))
      fails("conflict", {op = "add", conversationId = "c2", messageId = "m1", role = "user", content = ""})
      fails("conflict", {op = "reserve", conversationId = "c2", messageId = "m1", role = "user"})
    end)

    it("with a clientMessageId is idempotent within its conversation", function()
      store:createConversation {conversationId = "c2"}
      local op = {conversationId = "c1", role = "user", content = "one", clientMessageId = "k"}
      local first = store:add(op).message
      local before = support.snapshot(store)
      op.content = "two"
      local repeated = store:add(op)
      assert.is_true(repeated.deduplicated)
      assert.are.same(first, repeated.message)
      assert.is_true(store:reserve({conversationId = "c1", role = "user", clientMessageId = "k"}).deduplicated)
      local other = {conversationId = "c1", role = "bot", clientMessageId = "k", messageId = "m9", metadata = {a = 1}}
      assert.are.same(first, store:reserve(other).message)
      assert.are.equal(before, support.snapshot(store))
      op.conversationId = "c2"
      assert.is_nil(store:add(op).deduplicated)
    end)

    it("to an unknown conversation is notFound, and the error bears the minted id", function()
      local err = fails("notFound", {op = "add", conversationId = "nowhere", role = "user", content = "x"})
      assert.is_truthy(err.message:find("nowhere", 1, true))
      assert.is_truthy(err.messageId:match(uuid7))
    end)
  end)

  describe("reserve", function()
    it("is idempotent by id and by clientMessageId, also once the message is final", function()
      store:createConversation {conversationId = "c1"}
      local op = {conversationId = "c1", role = "assistant", messageId = "a1", clientMessageId = "k"}
      assert.is_nil(store:reserve(op).deduplicated)
      assert.is_true(store:reserve(op).deduplicated)
      store:updateContent {messageId = "a1", content = "done"}
      local repeated = store:reserve(op)
      assert.is_true(repeated.deduplicated)
      assert.are.equal("done", repeated.message.content)
      assert.are.equal("final", repeated.message.state)
    end)

    it("in an unknown conversation is notFound", function()
      fails("notFound", {op = "reserve", conversationId = "nowhere", role = "assistant"})
    end)
  end)

  describe("updateContent", function()
    it("edits a final message and keeps everything else", function()
      support.seed(store)
      local before = store:get({messageId = "m1"}).message
      assert.are.same({op = "updateContent"}, store:updateContent {messageId = "m1", content = "[]", index = false})
      before.content = "[]"
      assert.are.same(before, store:get({messageId = "m1"}).message)
    end)

    it("of an unknown message is notFound", function()
      local err = fails("notFound", {op = "updateContent", messageId = "nothing", content = "x"})
      assert.are.equal("nothing", err.messageId)
    end)
  end)

  describe("update", function()
    before_each(function() store:createConversation {conversationId = "c1"} end)

    local function metadata_after(metadata, updates)
      store:add {conversationId = "c1", messageId = "m1", role = "user", content = "x", metadata = metadata}
      assert.are.same({op = "update"}, store:update {messageId = "m1", updates = updates})
      return store:get({messageId = "m1"}).message.metadata
    end

    it("replaces top-level keys as wholes and keeps the others", function()
      assert.are.same({a = {y = 2}, b = 1, c = 3}, metadata_after({a = {x = 1}, b = 1}, {a = {y = 2}, c = 3}))
    end)

    it("stores a null where the update has one", function()
      local metadata = metadata_after({a = 1, b = 1}, {a = holdfast.null})
      assert.are.equal(holdfast.null, metadata.a)
      assert.are.equal(1, metadata.b)
    end)

    it("makes metadata where there was none", function()
      assert.are.same({a = 1}, metadata_after(nil, {a = 1}))
    end)

    it("touches nothing but the metadata", function()
      support.seed(store)
      local before = store:get({messageId = "m1"}).message
      store:update {messageId = "m1", updates = {a = 1}}
      before.metadata = {a = 1}
      assert.are.same(before, store:get({messageId = "m1"}).message)
    end)

    it("of an unknown message is notFound", function()
      fails("notFound", {op = "update", messageId = "nothing", updates = {a = 1}})
    end)
  end)

  describe("delete", function()
    it("deletes the message and says so", function()
      support.seed(store)
      local result = store:delete {messageId = "m1"}
      assert.are.equal('{"deleted":true,"deletedSummaryIds":[],"op":"delete","segmentIds":["m1"]}',
                       holdfast.json.encode(result))
      assert.is_nil(store:get({messageId = "m1"}).message)
    end)

    it("of one that does not exist succeeds with deleted = false", function()
      assert.is_false(store:delete({messageId = "nothing"}).deleted)
    end)

    it("recomputes lastMessageAt", function()
      support.seed(store)
      local function last() return store:getConversation({conversationId = "c1"}).conversation.lastMessageAt end
      local first = last()
      local second = store:add({conversationId = "c1", messageId = "m2", role = "user", content = ""}).message
      assert.are.equal(second.createdAt, last())
      store:delete {messageId = "m2"}
      assert.are.equal(first, last())
      store:delete {messageId = "m1"}
      assert.is_nil(last())
    end)
  end)

  describe("time", function()
    it("rises strictly within a conversation and never falls within a store, whatever the clock does", function()
      local hand = clock(5000)
      store = support.open {now = hand.now}
      store:createConversation {conversationId = "c1"}
      store:createConversation {conversationId = "c2"}
      local last = {c1 = 0, c2 = 0, all = 0}
      for i, time in ipairs {5000, 5000, 4000, 1, 5001, 5001, 9000, 2} do
        hand.time = time
        local name = i % 2 == 0 and "c1" or "c2"
        for _ = 1, 2 do
          local at = store:add({conversationId = name, role = "user", content = ""}).message.createdAt
          assert.is_true(at > last[name])
          assert.is_true(at >= last.all)
          last[name], last.all = at, at
        end
      end
      assert.is_true(last.all >= 9000)
    end)

    it("does not fall behind what a closed store's file holds", function()
      local path = support.path()
      local early = support.open({now = function() return 9000 end}, path)
      support.seed(early):close()
      store = support.open({now = function() return 10 end}, path)
      assert.is_true(store:add({conversationId = "c1", role = "user", content = ""}).message.createdAt > 9000)
      assert.is_true(store:createConversation().conversation.createdAt >= 9000)
    end)

    it("of a message becomes updatedAt and lastMessageAt of its conversation", function()
      support.seed(store)
      for _, name in ipairs {"add", "reserve"} do
        local content = name == "add" and "x" or nil
        local message = store[name](store, {conversationId = "c1", role = "user", content = content}).message
        local conversation = store:getConversation({conversationId = "c1"}).conversation
        assert.are.equal(message.createdAt, conversation.updatedAt)
        assert.are.equal(message.createdAt, conversation.lastMessageAt)
      end
    end)
  end)

  describe("originChannel", function()
    local function channel() return store:getConversation({conversationId = "c1"}).conversation.originChannel end

    it("comes from the metadata of the first message that names one, added or reserved", function()
      store:createConversation {conversationId = "c1"}
      store:add {conversationId = "c1", role = "user", content = "", metadata = {userMessageChannel = 7}}
      assert.is_nil(channel())
      store:reserve {conversationId = "c1", role = "user", metadata = {userMessageChannel = "mail"}}
      assert.are.equal("mail", channel())
      store:add {conversationId = "c1", role = "user", content = "", metadata = {userMessageChannel = "phone"}}
      assert.are.equal("mail", channel())
    end)

    it("stays what createConversation set", function()
      store:createConversation {conversationId = "c1", originChannel = "web"}
      store:add {conversationId = "c1", role = "user", content = "", metadata = {userMessageChannel = "phone"}}
      assert.are.equal("web", channel())
    end)
  end)

  describe("batch", function()
    before_each(function() support.seed(store) end)

    it("answers with the results in order, and later ops see what earlier ones did", function()
      local results = store:batch({ops = {
        {op = "createConversation", conversationId = "c2"},
        {op = "reserve", conversationId = "c2", role = "assistant", messageId = "a1"},
        {op = "updateContent", messageId = "a1", content = "done"},
        {op = "add", conversationId = "c2", role = "user", content = "x"},
        {op = "delete", messageId = "nothing"},
      }}).results
      local names = {}
      for i, result in ipairs(results) do names[i] = result.op end
      assert.are.same({"createConversation", "reserve", "updateContent", "add", "delete"}, names)
      assert.are.equal("reserved", results[2].message.state)
      assert.is_truthy(results[4].message.id:match(uuid7))
      assert.is_false(results[5].deleted)
      assert.are.same({"a1", results[4].message.id}, ids(store:list({conversationId = "c2"}).messages))
    end)

    it("stores nothing where one op fails, and says which and why", function()
      local before = support.snapshot(store)
      local err = support.error_of(store.batch, store, {ops = {
        {op = "add", conversationId = "c1", role = "user", content = "x"},
        {op = "update", messageId = "nothing", updates = {a = 1}},
      }})
      assert.are.equal("notFound", err.code)
      assert.are.equal("batch", err.op)
      assert.are.equal("nothing", err.messageId)
      assert.are.equal("ops[1]: ", err.message:sub(1, 8))
      assert.are.equal(before, support.snapshot(store))
    end)

    it("may be empty", function()
      assert.are.equal('{"op":"batch","results":[]}', holdfast.json.encode(store:batch {ops = {}}))
    end)

    it("does not nest and holds no reads", function()
      fails("invalid", {op = "batch", ops = {{op = "batch", ops = {}}}})
      fails("invalid", {op = "batch", ops = {{op = "get", messageId = "m1"}}})
    end)
  end)

  describe("get and getConversation", function()
    it("answer without a row where there is none", function()
      assert.are.same({op = "get"}, store:get {messageId = "nothing"})
      assert.are.same({op = "getConversation"}, store:getConversation {conversationId = "nowhere"})
    end)
  end)

  describe("list", function()
    local function list(fields)
      fields.conversationId = "c1"
      local result = store:list(fields)
      return ids(result.messages), result.hasMore
    end

    before_each(function()
      store:createConversation {conversationId = "c1"}
      store:createConversation {conversationId = "c2"}
      for i = 1, 6 do
        store:add {conversationId = "c1", messageId = "m" .. 7 - i, role = "user", content = ""}
        store:add {conversationId = "c2", messageId = "n" .. i, role = "user", content = ""}
      end
    end)

    it("gives the newest messages, oldest of them first, in the order of insertion", function()
      assert.are.same({{"m6", "m5", "m4", "m3", "m2", "m1"}, false}, {list {}})
      assert.are.same({{"m2", "m1"}, true}, {list {limit = 2}})
      assert.are.same({{"m6", "m5", "m4", "m3", "m2", "m1"}, false}, {list {limit = 6}})
    end)

    it("pages backwards with before and forwards with after", function()
      assert.are.same({{"m4", "m3"}, true}, {list {before = "m2", limit = 2}})
      assert.are.same({{"m6", "m5"}, false}, {list {before = "m4", limit = 2}})
      assert.are.same({{}, false}, {list {before = "m6"}})
      assert.are.same({{"m5", "m4"}, true}, {list {after = "m6", limit = 2}})
      assert.are.same({{"m2", "m1"}, false}, {list {after = "m3", limit = 2}})
      assert.are.same({{}, false}, {list {after = "m1"}})
      assert.are.same({{"m4", "m3"}, false}, {list {after = "m5", before = "m2"}})
      assert.are.same({{"m4"}, true}, {list {after = "m5", before = "m2", limit = 1}})
    end)

    it("gives 100 messages unless told otherwise", function()
      for _ = 1, 95 do store:add {conversationId = "c1", role = "user", content = ""} end
      local found, more = list {}
      assert.are.equal(100, #found)
      assert.is_true(more)
      assert.are.equal(101, #list {limit = 1000})
    end)

    it("keeps to the states that are asked for", function()
      store:reserve {conversationId = "c1", messageId = "r1", role = "assistant"}
      assert.are.same({{"r1"}, false}, {list {states = {"reserved"}}})
      assert.are.same({{"m1", "r1"}, true}, {list {states = {"reserved", "final"}, limit = 2}})
      assert.are.same({{}, false}, {list {states = {"aborted"}}})
    end)

    it("of an unknown conversation, or from a message that is not its own, is notFound", function()
      fails("notFound", {op = "list", conversationId = "nowhere"})
      fails("notFound", {op = "list", conversationId = "c1", before = "n1"})
      fails("notFound", {op = "list", conversationId = "c1", after = "nothing"})
    end)
  end)

  describe("listConversations", function()
    it("gives the newest activity first, in pages", function()
      store = support.open {now = support.clock()}
      for i = 1, 4 do store:createConversation {conversationId = "c" .. i} end
      store:add {conversationId = "c2", role = "user", content = ""}
      local function list(fields)
        local result = store:listConversations(fields)
        return ids(result.conversations), result.hasMore
      end
      assert.are.same({{"c2", "c4", "c3", "c1"}, false}, {list()})
      assert.are.same({{"c2", "c4"}, true}, {list {limit = 2}})
      assert.are.same({{"c3", "c1"}, false}, {list {limit = 2, before = "c4"}})
      assert.are.same({{}, false}, {list {before = "c1"}})
      fails("notFound", {op = "listConversations", before = "nowhere"})
    end)
  end)

  describe("search", function()
    local function snippets(query)
      local found = {}
      for i, hit in ipairs(store:search({query = query}).hits) do found[i] = hit.snippet end
      return found
    end

    before_each(function() store:createConversation {conversationId = "c1"} end)

    it("shows the words around what it found, by a reader and by the writer", function()
      local text = "By the sea there is a house, and in the house a clock, and by the clock a bed. In the bed I sleep."
      for _, path in ipairs {support.path(), ":memory:"} do
        store = support.open({}, path)
        store:createConversation {conversationId = "c1"}
        store:add {conversationId = "c1", role = "user", content = text}
        assert.are.same({"By the [sea] there is a house, and in the house a clock, and by the…"}, snippets "sea")
        assert.are.same({"…In the bed I [sleep]."}, snippets "sleep")
        assert.are.same({"…In the [bed] I sleep."}, snippets "bed")
        assert.are.same({"…in the house a clock, and by the clock [a bed]. In the bed I sleep."}, snippets '"a bed"')
      end
    end)

    it("takes the time of a text, however often a word stands in it and in the query", function()
      store:add {conversationId = "c1", messageId = "m1", role = "user", content = ("calm "):rep(200000)}
      store:add {conversationId = "c1", messageId = "m2", role = "user", content = ("A"):rep(1000000) .. " calm"}
      local query = ("calm "):rep(800)
      for _, hit in ipairs(store:search({query = query}).hits) do
        assert.is_true(#hit.snippet < 1100)
        assert.is_truthy(hit.snippet:find("[calm]", 1, true))
      end
      assert.are.equal(2, #store:search({query = query}).hits)
    end)

    it("asks for 64 words at most", function()
      local words = {}
      for i = 1, 64 do words[i] = "word" .. i end
      local query = table.concat(words, " ")
      store:add {conversationId = "c1", role = "user", content = query}
      assert.are.equal(1, #snippets(query .. " word1"))
      local err = fails("invalid", {op = "search", query = query .. " more"})
      assert.is_truthy(err.message:find("query: character 440: found more words, expected at most 64", 1, true))
    end)
  end)

  describe("a store", function()
    it("keeps everything in its file", function()
      local path = support.path()
      for _, durability in ipairs {"full", "normal"} do
        store = support.open({durability = durability}, path)
        support.seed(store)
        store:update {messageId = "m1", updates = {[durability] = true}}
        store:close()
      end
      store = support.open(nil, path)
      assert.are.same({full = true, normal = true}, store:get({messageId = "m1"}).message.metadata)
    end)

    it("gives the same ids with the same clock and random source", function()
      local function id()
        local fresh = support.open {now = function() return 7 end, random = function(n) return ("\1"):rep(n) end}
        return fresh:createConversation().conversation.id
      end
      local first = id()
      assert.is_truthy(first:match(uuid7))
      assert.are.equal(first, id())
    end)

    it("that is closed says so, and may be closed again", function()
      store:close()
      store:close()
      assert.are.equal("closed", support.error_of(store.get, store, {messageId = "m1"}).code)
      assert.are.equal("closed", support.error_of(store.use, store, "redact").code)
    end)

    it("closes itself at the end of its block", function()
      local kept
      do
        local block <close> = holdfast.open ":memory:"
        kept = block
      end
      assert.are.equal("closed", support.error_of(kept.get, kept, {messageId = "m1"}).code)
    end)

    it("refuses a file that is none of its own and leaves it as it is", function()
      local path = support.write(support.path(), "no database, by any means\n")
      assert.are.equal("corrupt", support.error_of(holdfast.open, path).code)
      assert.are.equal("no database, by any means\n", support.read(path))
    end)

    it("refuses options that it does not know", function()
      for _, options in ipairs {{durabilty = "full"}, {durability = "some"}, {maxBatch = 0}, {now = 7}} do
        assert.are.equal("invalid", support.error_of(holdfast.open, ":memory:", options).code)
      end
    end)
  end)
end)
