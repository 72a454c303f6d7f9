-- Bad input: each kind has its code and a message that names the field, and stores nothing.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local null = holdfast.null

-- An add that is good but for what `fields` says.
local function add(fields)
  local op = {op = "add", conversationId = "c1", role = "user", content = "x"}
  for name, value in pairs(fields) do op[name] = value end
  return op
end

local function without(field)
  local op = add {}
  op[field] = nil
  return op
end

local function nested(depth)
  local value = {}
  for _ = 2, depth do value = {v = value} end
  return value
end

local cycle = {}
cycle.again = {cycle}

-- What is wrong, the op, and what the message has to say.
local cases = {
  {"an op that is no table", 7, {"op", "number"}},
  {"an op without a name", {conversationId = "c1"}, {'"op"'}},
  {"an op whose name is a number", {op = 7}, {'"op"'}},
  {"an unknown op", {op = "ad"}, {"ad", '"add"'}},
  {"an unknown op far from any name", {op = "zzzzzzzzzzzzzzzzzz"}, {"zzzzzzzzzzzzzzzzzz"}},
  {"an op of a later version", {op = ""}, {}},
  {"an unknown field", add {contnet = "x"}, {"contnet", '"content"'}},
  {"the field of another op", add {updates = {}}, {"updates"}},
  {"a field in the spelling of C", add {conversation_id = "c1"}, {"conversation_id", '"conversationId"'}},
  {"an unknown field of a group", add {addOptions = {skipIndex = true}}, {"skipIndex", "skipIndexing"}},
  {"a key that is no text", add {[1] = "x"}, {"number"}},
  {"a missing conversationId", without "conversationId", {"conversationId", "missing"}},
  {"a missing role", without "role", {"role", "missing"}},
  {"a missing content", without "content", {"content", "missing"}},
  {"null for a field that must be there", add {content = null}, {"content", "missing"}},
  {"a number for a text", add {content = 7}, {"content", "integer"}},
  {"a table for a text", add {content = {}}, {"content", "table"}},
  {"a boolean for an id", add {conversationId = true}, {"conversationId", "boolean"}},
  {"a text for an object", add {metadata = "{}"}, {"metadata", "string"}},
  {"a list for an object", add {metadata = {1, 2}}, {"metadata", "list"}},
  {"an empty list for an object", add {metadata = holdfast.list {}}, {"metadata", "list"}},
  {"a text for a boolean", add {syncToDisk = "yes"}, {"syncToDisk", "string"}},
  {"a number for a group", add {addOptions = 1}, {"addOptions", "number"}},
  {"a text for a group's boolean", add {addOptions = {skipIndexing = "no"}}, {"skipIndexing", "string"}},
  {"a text for a time", add {createdAtMs = "5"}, {"createdAtMs", "string"}},
  {"a float for a time", add {createdAtMs = 5.5}, {"createdAtMs", "float"}},
  {"a time before 1970", add {createdAtMs = -5}, {"createdAtMs"}},
  {"a limit of 0", {op = "list", conversationId = "c1", limit = 0}, {"limit"}},
  {"a limit that is a float", {op = "list", conversationId = "c1", limit = 2.5}, {"limit", "float"}},
  {"an unknown state", {op = "list", conversationId = "c1", states = {"final", "ready"}}, {"states", "ready"}},
  {"states that are no list", {op = "list", conversationId = "c1", states = {final = true}}, {"states"}},
  {"states with a number", {op = "list", conversationId = "c1", states = {1}}, {"states"}},
  {"an empty id", add {messageId = ""}, {"messageId"}},
  {"an id of 129 bytes", add {messageId = ("x"):rep(129)}, {"messageId", "129"}},
  {"an id with a control character", add {messageId = "a\nb"}, {"messageId", "control"}},
  {"an id with DEL", add {messageId = "a\127b"}, {"messageId", "control"}},
  {"an empty role", add {role = ""}, {"role"}},
  {"a role of 65 bytes", add {role = ("x"):rep(65)}, {"role", "65"}},
  {"a NUL in the content", add {content = "a\0b"}, {"content"}},
  {"a NUL in an id", add {conversationId = "c1\0"}, {"conversationId"}},
  {"a NUL in a title", {op = "createConversation", title = "a\0"}, {"title"}},
  {"a NUL in metadata", add {metadata = {a = "\0"}}, {"metadata"}},
  {"a NUL in a metadata key", add {metadata = {["a\0"] = 1}}, {"metadata"}},
  {"a stray continuation byte", add {content = "a\x80"}, {"content", "UTF-8", "0x80"}},
  {"a text cut within a character", add {content = "ab\xC3"}, {"content", "UTF-8"}},
  {"an overlong form", add {content = "\xC0\xAF"}, {"content", "UTF-8"}},
  {"a surrogate in UTF-8", add {content = "\xED\xA0\x80"}, {"content", "UTF-8"}},
  {"a character beyond Unicode", add {content = "\xF4\x90\x80\x80"}, {"content", "UTF-8"}},
  {"a role that is not UTF-8", add {role = "\xFF"}, {"role", "UTF-8"}},
  {"metadata that is not UTF-8", add {metadata = {a = "\xFF"}}, {"metadata", "UTF-8"}},
  {"an infinity in metadata", add {metadata = {a = 1 / 0}}, {"metadata", "infinity"}},
  {"a NaN in metadata", add {metadata = {a = {0 / 0}}}, {"metadata", "nan"}},
  {"a function in metadata", add {metadata = {a = print}}, {"metadata", "function"}},
  {"a userdata in metadata", add {metadata = {a = io.stdout}}, {"metadata", "userdata"}},
  {"a coroutine in metadata", add {metadata = {a = coroutine.create(print)}}, {"metadata", "thread"}},
  {"metadata both list and object", add {metadata = {a = {1, 2, x = 3}}}, {"metadata"}},
  {"metadata with a boolean key", add {metadata = {[true] = 1}}, {"metadata", "boolean"}},
  {"metadata with a float key", add {metadata = {a = {[1.5] = 1}}}, {"metadata", "number"}},
  {"a list with a hole", add {metadata = {a = holdfast.list {1, nil, 3}}}, {"metadata"}},
  {"a list far from its start", add {metadata = {a = {[1000000000] = 1}}}, {"metadata"}},
  {"metadata within itself", add {metadata = cycle}, {"metadata", "nested"}},
  {"metadata nested too deep", add {metadata = nested(11)}, {"metadata", "nested"}},
  {"content larger than its bound", add {content = ("x"):rep(1001)}, {"content", "1000", "1001"}},
  {"metadata larger than its bound", add {metadata = {a = ("x"):rep(200)}}, {"metadata"}},
  {"metadata with too many parts", add {metadata = {a = table.pack(("x"):rep(300):byte(1, -1))}}, {"metadata"}},
  {"a title larger than its bound", {op = "createConversation", title = ("x"):rep(201)}, {"title", "200"}},
  {"updates larger than their bound", {op = "update", messageId = "m1", updates = {a = ("x"):rep(200)}}, {"updates"}},
  {"a merge larger than its bound", {op = "update", messageId = "full", updates = {b = ("x"):rep(150)}}, {"metadata"}},
  {"a batch larger than its bound", {op = "batch", ops = {add {}, add {}, add {}, add {}}}, {"ops", "3", "4"}},
  {"a batch without ops", {op = "batch"}, {"ops", "missing"}},
  {"a batch whose ops are no list", {op = "batch", ops = add {}}, {"ops"}},
  {"a batch of numbers", {op = "batch", ops = {1}}, {"number"}},
  {"a bad op in a batch", {op = "batch", ops = {add {}, add {contnet = "x"}}}, {"contnet"}},
  {"a text too long in a batch", {op = "batch", ops = {add {}, add {content = ("x"):rep(1001)}}}, {"ops[1]", "content"}},
}

local options = {maxContent = 1000, maxMetadata = 200, maxDepth = 10, maxBatch = 3}

describe("bad input:", function()
  local store

  before_each(function()
    store = support.seed(support.open(options))
    store:add {conversationId = "c1", messageId = "full", role = "user", content = "",
               metadata = {a = ("x"):rep(100)}}
  end)
  after_each(support.clean)

  for _, case in ipairs(cases) do
    local name, op, parts = table.unpack(case)
    it(name .. " is invalid", function()
      local before = support.snapshot(store)
      local err = support.error_of(store.exec, store, op)
      assert.are.equal("invalid", err.code)
      for _, part in ipairs(parts) do
        assert(err.message:find(part, 1, true), ("%q is not in: %s"):format(part, err.message))
      end
      assert.is_nil(err.message:find "%c")
      assert.is_nil(err.layer)
      assert.are.equal(before, support.snapshot(store))
    end)

    it(name .. " is invalid and told as the layer's where a layer hands it on", function()
      local before = support.snapshot(store)
      store:use(function(_, next) return next(op) end, "spoiler")
      local err = support.error_of(store.add, store, add {content = "good"})
      assert.is_truthy(err.code == "invalid" or type(op) ~= "table" and err.code == "middleware", tostring(err))
      if name ~= "a merge larger than its bound" then -- which the terminal alone can know
        assert.are.equal(name:find "^a merge" and "none" or "spoiler", err.layer or "none")
        assert.are.equal("add", err.op)
      end
      assert.are.equal(before, support.snapshot(store))
    end)
  end

  it("what is at its bound is good", function()
    for _, op in ipairs {
      add {content = ("x"):rep(1000)}, add {metadata = nested(10)}, add {metadata = {a = ("x"):rep(192)}},
      {op = "createConversation", title = ("x"):rep(200)}, {op = "batch", ops = {add {}, add {}, add {}}},
      add {metadata = {min = math.mininteger, max = math.maxinteger, tiny = 5e-324, huge = 1.7976931348623157e308}},
    } do
      assert.are.equal(op.op, store:exec(op).op)
    end
  end)

  it("an unknown conversation is notFound, and the message names it", function()
    local err = support.error_of(store.exec, store, add {conversationId = "nowhere"})
    assert.are.equal("notFound", err.code)
    assert.is_truthy(err.message:find('conversationId: the store has no conversation "nowhere"', 1, true))
  end)

  it("the fields of a method are checked like those of an op", function()
    assert.are.equal("invalid", support.error_of(store.add, store, 7).code)
    assert.are.equal("invalid", support.error_of(store.get, store, nil).code)
    assert.are.equal("invalid", support.error_of(store.get, store, {}).code)
  end)

  it("a context that cannot be kept is invalid", function()
    for _, context in ipairs {7, {1}, {requestId = 7}, {requestId = 0}, {turnIndex = 1.5}, {trust = {}}, {extra = print}} do
      assert.are.equal("invalid", support.error_of(store.add, store, add {}, context).code)
    end
  end)

  it("an error of a write bears the id that the host gave, and one that cannot be an id is left out", function()
    assert.are.equal("m9", support.error_of(store.exec, store, add {messageId = "m9", conversationId = "no"}).messageId)
    assert.is_nil(support.error_of(store.exec, store, add {messageId = "a\nb"}).messageId)
  end)

  -- ---- JSON, which can say things that Lua cannot ----

  local it_runs = support.program and it or pending
  local good = '{"op":"add","conversationId":"c1","role":"user","content":"good"}'
  local json_cases = {
    {"text that is no JSON", "hello", {}},
    {"text behind the op", good .. "x", {}},
    {"a list", "[]", {"list"}},
    {"a duplicate key", '{"op":"get","messageId":"a","messageId":"b"}', {"messageId"}},
    {"a duplicate key in metadata", '{"op":"createConversation","metadata":{"a":{"b":1,"b":2}}}', {'"b"'}},
    {"a duplicate key in another spelling", '{"op":"createConversation","metadata":{"a":1,"\\u0061":2}}', {'"a"'}},
    {"an escaped NUL", '{"op":"createConversation","title":"a\\u0000b"}', {}},
    {"an escaped NUL in metadata", '{"op":"createConversation","metadata":{"a":"\\u0000"}}', {}},
    {"a lone high surrogate", '{"op":"createConversation","title":"\\ud800"}', {"surrogate"}},
    {"a lone low surrogate", '{"op":"createConversation","title":"\\udc00x"}', {"surrogate"}},
    {"a byte that is not UTF-8", '{"op":"createConversation","title":"\xFF"}', {"UTF-8"}},
    {"an integer beyond 64 bits", '{"op":"createConversation","metadata":{"n":9223372036854775808}}', {"9223372036854775808"}},
    {"a number beyond a double", '{"op":"createConversation","metadata":{"n":1e400}}', {"1e400"}},
    {"a number with too many digits", '{"op":"createConversation","metadata":{"n":0.12345678901234567890123}}', {"0.1234567890"}},
    {"NaN", '{"op":"createConversation","metadata":{"n":NaN}}', {}},
    {"a limit as a float", '{"op":"listConversations","limit":2.5}', {"limit", "2.5"}},
    {"a limit beyond its type", '{"op":"listConversations","limit":99999999999999999999}', {}},
    {"an unknown op", '{"op":"ad"}', {"ad", '"add"'}},
    {"an unknown field", '{"op":"get","mesageId":"a"}', {"mesageId", '"messageId"'}},
    {"an unknown conversation", '{"op":"list","conversationId":"nowhere"}', {"nowhere"}, "notFound"},
    {"too deep a nesting", '{"op":"createConversation","metadata":' .. ('{"a":'):rep(64) .. "{}" .. ("}"):rep(65), {}},
    {"a bottomless nesting", ("["):rep(100000), {}},
  }

  it_runs("a bad line of JSON gets its error, stores nothing, and does not stop the next", function()
    local path = support.path()
    support.seed(support.open(nil, path)):close()
    local before = support.snapshot(path)
    local lines = {}
    for i, case in ipairs(json_cases) do
      lines[2 * i - 1] = case[2]
      lines[2 * i] = '{"op":"get","messageId":"m1"}'
    end
    local results, _, status = support.run(path, lines)
    assert.are.equal(#lines, #results)
    assert.are.equal(1, status)
    for i, case in ipairs(json_cases) do
      local result = results[2 * i - 1]
      assert(result.error, case[1] .. " was taken")
      assert.are.equal(case[4] or "invalid", result.error.code, case[1])
      assert.are.equal(2 * i - 1, result.line)
      for _, part in ipairs(case[3]) do
        local message = result.error.message
        assert(message:find(part, 1, true), ("%s: %q is not in: %s"):format(case[1], part, message))
      end
      assert.are.equal("one", results[2 * i].message.content)
    end
    assert.are.equal(before, support.snapshot(path))
  end)
end)
