-- The disk view: what reaches it, what does not, and how it is written anew.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local view

-- Every file below the view, by its path, with what is in it.
local function files()
  local found = {}
  local pipe = assert(io.popen(("find '%s' -type f 2>/dev/null"):format(view)))
  for path in pipe:lines() do found[path:sub(#view + 2)] = support.read(path) end
  pipe:close()
  return found
end

local function count(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

-- A store with a view, whose first conversation is made at 1.001 s past 1970.
local function open(options, path)
  options = options or {}
  options.viewDir = view
  options.now = support.clock()
  local store = support.open(options, path)
  store:createConversation {conversationId = "c1", title = "First"}
  return store
end

local folder = "1970-01-01T00-00-01.001Z_c1/"

local function add(store, id, content, more)
  local op = {conversationId = "c1", messageId = id, role = "user", content = content, syncToDisk = true}
  for key, value in pairs(more or {}) do op[key] = value end
  return store:add(op)
end

-- The ids of the lines, in order.
local function ids(path)
  local found = {}
  for line in (files()[(path or folder) .. "messages.jsonl"] or ""):gmatch "[^\n]+" do
    found[#found + 1] = holdfast.json.decode(line).id
  end
  return found
end

local function shell(command)
  local _, _, status = os.execute(command)
  return status
end

before_each(function()
  view = os.tmpname()
  os.remove(view)
end)

after_each(function()
  support.clean()
  shell(("rm -rf '%s'"):format(view))
end)

describe("add", function()
  it("writes a line of its message, and whose conversation it is", function()
    local store = open()
    add(store, "m1", "hello")
    add(store, "m2", '[{"type":"text","text":"Look:"},{"type":"tool_use","id":"t1"},{"type":"tool_result","id":"t1"}]',
      {role = "assistant", metadata = {a = 1}})
    assert.same({
      [folder .. "meta.json"] = '{"id":"c1","title":"First","createdAt":1001}\n',
      [folder .. "messages.jsonl"] = table.concat {
        '{"id":"m1","role":"user","ts":"1970-01-01T00:00:01.002Z","content":"hello"}\n',
        '{"id":"m2","role":"assistant","ts":"1970-01-01T00:00:01.003Z","content":"Look:",',
        '"toolCalls":[{"type":"tool_use","id":"t1"}],"toolResults":[{"type":"tool_result","id":"t1"}],',
        '"metadata":{"a":1}}\n',
      },
    }, files())
  end)

  it("writes nothing without syncToDisk, or without a view", function()
    local store = open()
    add(store, "m1", "hello", {syncToDisk = false})
    assert.same({}, files())
    local plain = support.open()
    plain:createConversation {conversationId = "c1"}
    add(plain, "m1", "hello")
  end)

  it("takes createdAtMs for the folder, and leaves the row alone", function()
    local store = open()
    add(store, "m1", "hello", {createdAtMs = 1795341600000})
    assert.same({"m1"}, ids "2026-11-22T10-00-00.000Z_c1/")
    assert.equal(1001, store:getConversation({conversationId = "c1"}).conversation.createdAt)
  end)

  it("keeps hostile ids inside the view", function()
    local store = open()
    for _, id in ipairs {"..", "/etc", ("/"):rep(128), "ä", "C1"} do
      store:createConversation {conversationId = id}
      add(store, nil, "hello", {conversationId = id})
    end
    assert.equal(10, count(files()))
    for path in pairs(files()) do assert.truthy(path:match "^1970%-[%w.:~%%_-]+/m[%w.]+$", path) end
  end)

  it("writes a line once, however often it is repeated", function()
    local store = open()
    add(store, "m1", "hello")
    assert.is_true(add(store, "m1", "hello").deduplicated)
    assert.same({"m1"}, ids())
  end)

  it("writes what the layers made of it", function()
    local store = open()
    store:use "redact"
    add(store, "m1", "sk-test-0123456789abcdef")
    assert.truthy(files()[folder .. "messages.jsonl"]:find("[redacted]", 1, true))
  end)
end)

describe("what is not stored", function()
  it("leaves no line when a batch is rolled back", function()
    local store = open()
    local function line(id)
      return {op = "add", conversationId = "c1", messageId = id, role = "user", content = "x", syncToDisk = true}
    end
    local wrong = line "m2"
    wrong.conversationId = "none"
    local err = support.error_of(store.batch, store, {ops = {line "m1", wrong}})
    assert.equal("notFound", err.code)
    assert.same({}, files())
    store:batch {ops = {line "m1", line "m2"}}
    assert.same({"m1", "m2"}, ids())
  end)

  it("leaves none when a layer refuses after next", function()
    local store = open()
    store:use(function(op, next, ctx)
      next(op)
      ctx:reject("late", "no")
    end, "late")
    support.error_of(add, store, "m1", "hello")
    assert.same({}, files())
  end)

  it("leaves none of a next that failed and was caught", function()
    local store = open()
    store:use(function(op, next)
      local good = pcall(next, op)
      if good then return end
      op.messageId = "second"
      return next(op)
    end, "retry")
    store:use(function(op, next)
      local result = next(op)
      if op.messageId == "first" then error "undone" end
      return result
    end, "picky")
    add(store, "first", "hello")
    assert.same({"second"}, ids())
  end)

  it("leaves none of a ctx:exec that failed and was caught, and keeps those around it", function()
    local store = open()
    store:use({name = "extra", ops = {"add"}, handle = function(op, next, ctx)
      local function extra(id)
        return ctx:exec {op = "add", conversationId = op.conversationId, messageId = id, role = "system",
                         content = "x", syncToDisk = true}
      end
      extra "before"
      pcall(extra, "undone")
      local result = next(op)
      extra "after"
      return result
    end})
    store:use({name = "picky", ops = {"add"}, handle = function(op, next)
      local result = next(op)
      if op.messageId == "undone" then error "undone" end
      return result
    end})
    add(store, "m1", "hello")
    assert.same({"before", "m1", "after"}, ids())
  end)

  it("leaves none when it is explained", function()
    local store = open()
    local told = store:explain {op = "add", conversationId = "c1", role = "user", content = "x", syncToDisk = true}
    assert.equal("ok", told.outcome)
    add(store, "m1", "hello")
    assert.same({"m1"}, ids())
  end)
end)

describe("a view that cannot be written", function()
  it("fails no op, and is in the log", function()
    local log, records = support.recorder()
    local store = open {log = log}
    support.write(view, "a file")
    add(store, "m1", "hello")
    assert.equal("hello", store:get({messageId = "m1"}).message.content)
    assert.equal(1, #records)
    assert.equal("warn", records[1].level)
    assert.truthy(records[1].message:find(view, 1, true), records[1].message)
    os.remove(view)
    add(store, "m2", "hello")
    assert.same({"m2"}, ids())
    assert.equal(1, #records)
  end)
end)

describe("viewDir", function()
  it("must be a path", function()
    assert.equal("invalid", support.error_of(support.open, {viewDir = 1}).code)
    assert.equal("invalid", support.error_of(support.open, {viewDir = "a\0b"}).code)
  end)
end)

describe("rebuildView", function()
  local function fill(store)
    store:createConversation {conversationId = "c2", originChannel = "mail", metadata = {n = 1}}
    add(store, "m1", "one")
    add(store, "m2", "two", {metadata = {a = {1, 2}}})
    add(store, "m3", "three", {conversationId = "c2", createdAtMs = 5000})
  end

  it("writes what the adds wrote", function()
    local store = open()
    fill(store)
    local before = files()
    assert.equal(4, count(before))
    assert.equal(2, store:rebuildView())
    assert.same(before, files())
    support.write(view .. "/" .. folder .. "messages.jsonl", "torn")
    os.remove(view .. "/" .. folder .. "meta.json")
    assert.equal(2, store:rebuildView())
    assert.same(before, files())
    shell(("rm -r '%s'"):format(view))
    store:rebuildView()
    assert.same(before[folder .. "messages.jsonl"], files()[folder .. "messages.jsonl"])
    assert.equal(4, count(files()))
  end)

  it("follows what was edited, deleted and finished, and shows no anchor", function()
    local store = open()
    fill(store)
    store:updateContent {messageId = "m1", content = "new"}
    store:delete {messageId = "m2"}
    store:reserve {conversationId = "c1", messageId = "m4", role = "assistant"}
    store:reserve {conversationId = "c1", messageId = "m5", role = "assistant"}
    store:append {messageId = "m4", delta = "streaming"}
    store:updateContent {messageId = "m5", content = "done"}
    store:rebuildView()
    assert.same({"m1", "m5"}, ids())
    assert.truthy(files()[folder .. "messages.jsonl"]:find('"content":"new"', 1, true))
  end)

  it("removes the folders of what is gone, and no others", function()
    local store = open()
    fill(store)
    store:deleteConversation {conversationId = "c2"}
    support.write(view .. "/notes.txt", "mine")
    shell(("mkdir '%s/other'"):format(view))
    support.write(view .. "/other/messages.jsonl", "mine")
    assert.equal(1, store:rebuildView())
    local found = files()
    assert.equal(4, count(found))
    assert.equal("mine", found["notes.txt"])
    assert.equal("mine", found["other/messages.jsonl"])
    assert.same({"m1", "m2"}, ids())
  end)

  it("says where a fork came from", function()
    local store = open()
    add(store, "m1", "one")
    local fork = store:fork({conversationId = "c1"}).conversation
    assert.equal(2, store:rebuildView())
    local meta
    for path, text in pairs(files()) do
      if path:find(fork.id, 1, true) and path:find("meta.json", 1, true) then meta = holdfast.json.decode(text) end
    end
    assert.equal("c1", meta.forkParentConversationId)
    assert.equal("m1", meta.forkParentMessageId)
  end)

  it("is misuse of a store without a view, and from inside a layer", function()
    local store = open()
    store:use(function(op, next)
      store:rebuildView()
      return next(op)
    end, "inside")
    assert.equal("misuse", support.error_of(add, store, "m1", "one").code)
    assert.equal("misuse", support.error_of(function() support.open():rebuildView() end).code)
  end)

  it("is busy while another handle writes, and leaves what is there", function()
    local path = support.path()
    local store = open({}, path)
    add(store, "m1", "one")
    local other <close> = holdfast.open(path, {viewDir = view, busyTimeoutMs = 1})
    local before, err = files(), nil
    store:use(function(op, next)
      local result = next(op)
      err = support.error_of(other.rebuildView, other)
      return result
    end, "holder")
    add(store, "m2", "two", {syncToDisk = false})
    assert.equal("busy", err.code)
    assert.same(before, files())
    assert.equal(1, other:rebuildView())
    assert.same({"m1", "m2"}, ids())
  end)

  it("fails where the view cannot be written", function()
    local store = open()
    add(store, "m1", "one")
    shell(("rm -r '%s'"):format(view))
    support.write(view, "a file")
    local err = support.error_of(store.rebuildView, store)
    assert.equal("io", err.code)
    assert.truthy(err.message:find(view, 1, true))
    os.remove(view)
  end)
end)

describe("holdfast", function()
  local function program(arguments)
    local output = support.path ".out"
    local status = shell(("'%s' %s >'%s' 2>&1"):format(support.program, arguments, output))
    return status, support.read(output)
  end

  it("run --view adds lines, view rebuild writes them anew", function()
    local path = support.path()
    local _, _, status = support.run(path, {
      '{"op":"createConversation","conversationId":"c1"}',
      '{"op":"add","conversationId":"c1","messageId":"m1","role":"user","content":"one","syncToDisk":true}',
    }, ("--view '%s'"):format(view))
    assert.equal(0, status)
    local before = files()
    assert.equal(2, count(before))
    shell(("rm -r '%s'"):format(view))
    local said
    status, said = program(("view rebuild '%s' --view '%s'"):format(path, view))
    assert.equal(0, status, said)
    assert.truthy(said:find("1 conversation", 1, true), said)
    assert.same(before, files())
  end)

  it("view rebuild says what is wrong", function()
    local path = support.path()
    support.run(path, {'{"op":"createConversation","conversationId":"c1"}'})
    local status, said = program(("view rebuild '%s'"):format(path))
    assert.equal(2, status)
    assert.truthy(said:find("--view", 1, true))
    assert.equal(3, (program(("view rebuild '%s.none' --view '%s'"):format(path, view))))
    status, said = program(("view rebuild '%s' --view '%s'"):format(path, path))
    assert.equal(1, status)
    assert.truthy(said:find("Not a directory", 1, true), said)
    assert.equal(0, (program "view rebuild --help"))
    assert.equal(2, (program "view"))
  end)
end)
