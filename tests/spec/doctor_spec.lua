-- The doctor as its users meet it: what it prints, what it exits with, and that it sees what a killed writer left
-- before anything else opens the store.

local holdfast = require "holdfast"

package.path = "tests/spec/?.lua;" .. package.path
local program = require "program_support"
local support = require "support"

describe("holdfast doctor", function()
  local store

  before_each(function()
    store = program.start()
    local opened <close> = holdfast.open(store)
    opened:createConversation {conversationId = "c1"}
    opened:add {conversationId = "c1", messageId = "m1", role = "user", content = "hello"}
  end)

  after_each(program.clean)

  local function leave_one()
    local writer = program.writer(store)
    writer:exec {op = "reserve", conversationId = "c1", role = "assistant", messageId = "m2"}
    writer:exec {op = "append", messageId = "m2", delta = "half a "}
    return writer
  end

  -- The finding of that check in what was printed: its level and its message.
  local function finding(out, check)
    for _, line in ipairs(program.lines(out)) do
      local level, name, message = line:match "^(%l+) +(%a+) +(.*)$"
      if name == check then return level .. ": " .. message end
    end
  end

  it("finds nothing wrong with a sound store", function()
    local status, out, err = program.call("doctor", store)
    assert.equal(0, status)
    assert.equal("", err)
    for _, line in ipairs(program.lines(out)) do assert.truthy(line:find "^ok  ", line) end
    assert.equal("ok: SQLite finds no damage", finding(out, "integrity"))
  end)

  it("leaves the store and its folder as they were", function()
    local before = support.read(store)
    program.call("doctor", store)
    assert.equal(before, support.read(store))
    assert.is_nil(support.read(store .. "-wal"))
    assert.is_nil(support.read(store .. "-shm"))
  end)

  it("looks at a store beside a living writer, and repairs nothing of its", function()
    local writer = leave_one()
    for _, arguments in ipairs {{"doctor", store}, {"doctor", store, "--repair"}} do
      local status, out = program.call(table.unpack(arguments))
      assert.equal(0, status)
      assert.equal("ok: 1 reserved or streaming messages of open stores", finding(out, "anchors"))
    end
    assert.equal(2, writer:exec({op = "append", messageId = "m2", delta = "sentence"}).seq)
  end)

  it("shows what a killed writer left, before anything else opens the store", function()
    leave_one():kill()
    for _ = 1, 2 do
      local status, out = program.call("doctor", store)
      assert.equal(1, status)
      assert.equal("warn: 1 reserved or streaming messages whose owner died: opening the store makes them interrupted"
        .. " (m2, for one)", finding(out, "deadOwners"))
      assert.truthy(finding(out, "ownerFiles"):find("warn: 1 files of owners that died", 1, true))
    end
    local status, out = program.call("recover", store, "--final")
    assert.equal(0, status)
    assert.truthy(out:find "^m2\tc1\tassistant\t7\t1\t")
    assert.equal(0, (program.call("doctor", store)))
    assert.equal("half a ", (select(2, program.call("tail", store, "m2"))))
  end)

  it("settles that itself with --repair", function()
    leave_one():kill()
    local status, out = program.call("doctor", store, "--repair")
    assert.equal(0, status)
    assert.equal("repaired: 1 reserved or streaming messages whose owner died: made interrupted (m2)",
      finding(out, "deadOwners"))
    assert.equal("ok: 1 interrupted messages: holdfast recover lists and settles them", finding(out, "interrupted"))
    assert.equal(0, (program.call("doctor", store)))
  end)

  it("prints its report as JSON", function()
    leave_one():kill()
    local status, out = program.call("doctor", store, "--json")
    assert.equal(1, status)
    assert.equal(1, #program.lines(out))
    local report = holdfast.json.decode(out)
    assert.is_false(report.ok)
    local found
    for _, one in ipairs(report.findings) do found = one.check == "deadOwners" and one or found end
    assert.equal("warn", found.level)
    assert.equal(1, found.count)
    assert.equal("m2", found.example)
  end)

  it("says that a damaged file needs a backup", function()
    local bytes = support.read(store)
    support.write(store, bytes:sub(1, 4096) .. ("x"):rep(4096) .. bytes:sub(8193))
    for _, option in ipairs {"--json", "--repair"} do
      local status, out = program.call("doctor", store, option)
      assert.equal(1, status)
      assert.truthy(out:find("restore a backup", 1, true))
    end
    assert.equal(bytes:sub(1, 4096) .. ("x"):rep(4096) .. bytes:sub(8193), support.read(store))
  end)

  it("exits with 3 where there is no store", function()
    local text = support.write(program.path "text", ("no store at all\n"):rep(100))
    local empty = support.write(program.path "empty", "")
    for path, message in pairs {[text] = "not an SQLite database", [empty] = "the file is empty",
      [program.path "none"] = "there is no such store"} do
      local status, out, err = program.call("doctor", path)
      assert.equal(3, status)
      assert.equal("", out)
      assert.truthy(err:find(message, 1, true), err)
    end
    assert.is_nil(support.read(program.path "none"))
  end)

  describe("in Lua", function()
    it("gives the report as a table, and repairs", function()
      leave_one():kill()
      assert.is_false(holdfast.doctor(store).ok)
      local report = holdfast.doctor(store, {repair = true})
      assert.is_true(report.ok)
      assert.equal("integrity", report.findings[1].check)
      assert.is_true(holdfast.doctor(store, {}).ok)
    end)

    it("raises what it cannot look at, and options that it does not have", function()
      assert.equal("io", support.error_of(holdfast.doctor, program.path "none").code)
      for _, options in ipairs {{repare = true}, {repair = 1}, {true}} do
        local err = support.error_of(holdfast.doctor, store, options)
        assert.equal("invalid", err.code)
        assert.truthy(err.message:find("repair", 1, true))
      end
    end)
  end)
end)
