-- store:stats() and `holdfast stats`: what they count.

local holdfast = require "holdfast"
local lfs = require "lfs"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local function size_of(path) return lfs.attributes(path, "size") end

-- Whether `holdfast stats` succeeds, and what it prints.
local function run(options, path)
  local pipe = assert(io.popen(("'%s' stats %s '%s'"):format(support.program, options, path)))
  local out = pipe:read "a"
  return pipe:close(), out
end

describe("stats", function()
  local path, store

  before_each(function()
    path = support.path()
    store = support.open({durability = "normal"}, path)
    store:createConversation {conversationId = "c1"}
  end)

  after_each(support.clean)

  local function rows()
    local stats = store:stats()
    return {
      stats.conversations, stats.messages, stats.reserved, stats.streaming, stats.indexed, stats.deltas,
    }
  end

  it("counts rows", function()
    assert.are.same({1, 0, 0, 0, 0, 0}, rows())
    store:add {conversationId = "c1", role = "user", content = "one"}
    store:add {conversationId = "c1", role = "user", content = "two", addOptions = {skipIndexing = true}}
    store:reserve {conversationId = "c1", role = "assistant", messageId = "a1"}
    store:reserve {conversationId = "c1", role = "assistant", messageId = "a2"}
    assert.are.same({1, 4, 2, 0, 1, 0}, rows())
    store:append {messageId = "a1", delta = "some "}
    store:append {messageId = "a1", delta = "more"}
    assert.are.same({1, 4, 1, 1, 1, 2}, rows())
    store:updateContent {messageId = "a1", content = "some more"}
    store:abort {messageId = "a2"}
    assert.are.same({1, 4, 0, 0, 2, 0}, rows())
    store:deleteConversation {conversationId = "c1"}
    assert.are.same({0, 0, 0, 0, 0, 0}, rows())
  end)

  it("counts what this handle wrote, and in how many transactions", function()
    local before = store:stats()
    assert.are.equal(1, before.writes)
    assert.are.equal(1, before.commits)
    local ops = {}
    for i = 1, 3 do ops[i] = {op = "add", conversationId = "c1", role = "user", content = "hello"} end
    store:batch {ops = ops}
    store:list {conversationId = "c1"}
    assert.has_error(function() store:add {conversationId = "c2", role = "user", content = "hello"} end)
    local after = store:stats()
    assert.are.equal(before.writes + 4, after.writes)
    assert.are.equal(before.commits + 1, after.commits)
  end)

  it("knows the file and its WAL", function()
    local stats = store:stats()
    assert.are.equal(size_of(path), stats.databaseBytes)
    assert.are.equal(size_of(path .. "-wal"), stats.walBytes)
    assert.are.equal(4096, stats.pageSize)
    assert.are.equal(0, stats.freePages)
    assert.is_true(stats.walFrames > 0 and stats.walFrames * 4120 <= stats.walBytes)
    assert.are.equal("normal", stats.durability)
    assert.are.equal(2, stats.schemaVersion)
    assert.is_truthy(stats.sqliteVersion:find "^3%.%d+%.%d+$")
    assert.are.same({passes = 0, frames = 0, failures = 0, outcome = "ok", behind = 0}, stats.checkpoints)
  end)

  it("has what the header shows", function()
    local function keys_of(stats)
      local keys = {}
      for key in pairs(stats) do keys[#keys + 1] = key end
      for key in pairs(stats.checkpoints) do keys[#keys + 1] = "checkpoints." .. key end
      table.sort(keys)
      return keys
    end
    local shown = assert(support.read "include/holdfast.h"):match '\n %*   ({"conversations":.-})\n'
    assert.are.same(keys_of(holdfast.json.decode((shown:gsub("\n %*", "")))), keys_of(store:stats()))
  end)

  it("tells of pages that a deletion left free", function()
    store:add {conversationId = "c1", role = "user", content = ("x"):rep(100000), messageId = "m1"}
    store:delete {messageId = "m1"}
    assert.is_true(store:stats().freePages >= 24)
  end)

  it("works in memory", function()
    local memory <close> = holdfast.open ":memory:"
    memory:createConversation {conversationId = "c1"}
    local stats = memory:stats()
    assert.are.equal(1, stats.conversations)
    assert.are.equal(0, stats.walBytes)
    assert.are.equal("full", stats.durability)
  end)

  it("are refused from inside a layer, and of a store that is closed", function()
    local err
    store:use(function(op, next)
      err = support.error_of(store.stats, store)
      return next(op)
    end, "asks")
    store:add {conversationId = "c1", role = "user", content = "one"}
    assert.are.equal("misuse", err.code)
    store:close()
    assert.are.equal("closed", support.error_of(store.stats, store).code)
  end)

  it("are the program's as well", function()
    store:add {conversationId = "c1", role = "user", content = ("x"):rep(2000000)}
    store:close()
    local good, out = run("", path)
    assert.is_true(good)
    assert.is_truthy(out:find "^conversations  1\nmessages       1\nreserved       0\nstreaming      0\nindexed        1\n")
    assert.is_truthy(out:find "\ndatabaseBytes  %d+ %(%d%.%d MiB%)\npageSize       4096\n")
    assert.is_truthy(out:find "\nsqliteVersion  3%.%d+%.%d+\n$")
    good, out = run("--json", path)
    assert.is_true(good)
    assert.are.equal(1, holdfast.json.decode(out).messages)
    os.remove(path)
    assert.is_nil((run("2>/dev/null", path)))
  end)

  it("of the program name readers of other processes that hold back the WAL, and their pages, while they do", function()
    local out, json
    store:use({name = "stays", ops = {"list"}, handle = function(op, next)
      local result = next(op) -- what was read stays as it is until the op ends
      local line = holdfast.json.encode {op = "add", conversationId = "c1", role = "user", content = ("x"):rep(1000000)}
      assert.are.equal(9, #support.run(path, {line, line, line, line, line, line, line, line, line}))
      out, json = select(2, run("", path)), holdfast.json.decode((select(2, run("--json", path))))
      return result
    end})
    assert.are.equal(0, #store:list({conversationId = "c1"}).messages)
    assert.is_true(json.checkpoints.starvedSince > 0 and json.checkpoints.behind > 2000)
    assert.are.equal(("checkpoints    readers that do not end, of any process, keep %d pages in the WAL")
      :format(json.checkpoints.behind), out:match "\n(checkpoints[^\n]*)\n$")
    assert.is_nil((select(2, run("", path))):find "checkpoints")
    assert.is_nil(holdfast.json.decode((select(2, run("--json", path)))).checkpoints.starvedSince)
  end)
end)
