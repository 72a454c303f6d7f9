-- What a middleware script can reach, and what it cannot.

local holdfast = require "holdfast"
local lfs = require "lfs"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

describe("the sandbox:", function()
  local store, records, folder

  before_each(function()
    local log
    log, records = support.recorder()
    store = support.open {log = log}
    folder = support.path ""
    assert(lfs.mkdir(folder))
  end)

  local function remove(path)
    if lfs.symlinkattributes(path, "mode") == "directory" then
      for name in lfs.dir(path) do
        if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
      end
      lfs.rmdir(path)
    else
      os.remove(path)
    end
  end

  after_each(function()
    support.clean()
    remove(folder)
  end)

  local function write(name, text)
    return support.write(folder .. "/" .. name, text)
  end

  -- What the expression gives within a sandboxed layer, as text.
  local count = 0
  local function value_of(expression, before)
    count = count + 1
    store:useString("script-" .. count, (before or "") .. [[
      return {ops = {"createConversation"}, handle = function(op, next, ctx)
        ctx:log("info", tostring(]] .. expression .. [[))
        return next(op)
      end}]])
    store:createConversation()
    return records[#records].message
  end

  it("offers the safe part of the standard library, and nothing else", function()
    local libraries = {
      math = "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi rad " ..
             "random sin sqrt tan tointeger type ult",
      os = "clock date difftime time",
      string = "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper",
      table = "concat insert move pack remove sort unpack",
      utf8 = "char charpattern codepoint codes len offset",
    }
    local expected = {}
    for name in ("_G _VERSION assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset " ..
                 "require select setmetatable tonumber tostring type xpcall"):gmatch "%S+" do
      expected[#expected + 1] = name
    end
    for library, names in pairs(libraries) do
      for name in names:gmatch "%S+" do expected[#expected + 1] = library .. "." .. name end
    end
    table.sort(expected)
    assert.are.equal(table.concat(expected, " "), value_of("table.concat(names, ' ')", [[
      local names = {}
      for name, value in pairs(_G) do
        if type(value) == "table" and value ~= _G then
          for inner in pairs(value) do names[#names + 1] = name .. "." .. inner end
        else
          names[#names + 1] = name
        end
      end
      table.sort(names)
    ]]))
  end)

  it("has no files, processes, code from text, debugging, packages or printing", function()
    for _, name in ipairs {"io", "os.execute", "os.exit", "os.remove", "os.rename", "os.tmpname", "os.getenv",
                           "os.setlocale", "load", "loadfile", "loadstring", "dofile", "debug", "package", "print",
                           "warn", "collectgarbage", "string.dump", "math.randomseed", "arg", "jit"} do
      assert.are.equal("nil", value_of(name), name)
    end
  end)

  it("runs text only, never compiled code", function()
    local code = string.dump(function() return function() end end)
    assert.are.equal("invalid", support.error_of(store.useString, store, "compiled", code).code)
    assert.are.equal("invalid", support.error_of(store.use, store, write("compiled.lua", code)).code)
    assert.are.equal("invalid", support.error_of(store.use, store, write("compiled.lua", "#\n" .. code)).code)
  end)

  it("keeps the globals of scripts apart", function()
    store:useString("first", [[
      leaked = "global"
      _G.leaked_too = "global"
      string.upper, math.floor, pairs = nil, nil, nil
      table.concat = function() return "bent" end
      return function(op, next) return next(op) end]])
    assert.are.equal("nil nil X 1 a,b", value_of([[
      tostring(leaked) .. " " .. tostring(leaked_too) .. " " .. string.upper("x") .. " " .. math.floor(1.5) .. " " ..
      table.concat({"a", "b"}, ",")]]))
    assert.are.equal("function", value_of "type(pairs)")
    assert.is_nil(rawget(_G, "leaked"))
  end)

  it("keeps the stock library of scripts apart", function()
    store:useString("first", [[
      local holdfast = require "holdfast"
      holdfast.json.encode, holdfast.list, holdfast.ops[1] = nil, nil, "bent"
      return function(op, next) return next(op) end]])
    assert.are.equal("[] createConversation", value_of([[
      holdfast.json.encode(holdfast.list {}) .. " " .. holdfast.ops[1] ]], [[local holdfast = require "holdfast" ]]))
    assert.are.equal("function", type(holdfast.json.encode))
  end)

  it("keeps shared metatables out of reach", function()
    assert.are_not.equal("table", value_of([[type(getmetatable("x"))]]))
    assert.are_not.equal("table", value_of([[type(getmetatable(require "holdfast".list {}))]]))
    assert.are.equal("false", value_of([[pcall(setmetatable, require "holdfast".list {}, {})]]))
    assert.are.equal("XX", value_of([[("x"):upper():rep(2)]], [[string.upper = error ]]))
    assert.are.equal("XX", value_of([[("x"):upper():rep(2)]]))
  end)

  it("leaves the host's own state as it is", function()
    value_of([[1]], [[string.format, tostring, _VERSION = nil, tostring, "bent" ]])
    assert.are.equal("Lua 5.4", _VERSION)
    assert.are.equal("1", ("%d"):format(1))
  end)

  it("reports a script that does not compile, with its place", function()
    local err = support.error_of(store.useString, store, "broken", "return {\n  handle = function( end }")
    assert.are.equal("invalid", err.code)
    assert.are.equal("broken", err.layer)
    assert.is_truthy(err.message:find("broken:2:", 1, true), err.message)
    err = support.error_of(store.use, store, write("broken.lua", "\nretrun"))
    assert.are.equal("invalid", err.code)
    assert.is_truthy(err.message:find("broken.lua:2:", 1, true), err.message)
  end)

  it("reports a script that raises while it is loaded, and the chain stays as it was", function()
    local err = support.error_of(store.useString, store, "raises", "\nerror 'early'")
    assert.are.equal("middleware", err.code)
    assert.are.equal("raises", err.layer)
    assert.is_truthy(err.message:find("raises:2: early", 1, true), err.message)
    store:useString("raises", "return function(op, next) return next(op) end")
    store:createConversation()
  end)

  it("refuses a script larger than 256 KiB", function()
    local source = "return function(op, next) return next(op) end --"
    store:useString("large", source .. ("x"):rep(256 * 1024 - #source))
    assert.are.equal("invalid", support.error_of(store.useString, store, "larger", source .. ("x"):rep(256 * 1024)).code)
    local path = write("larger.lua", source .. ("x"):rep(256 * 1024))
    assert.are.equal("invalid", support.error_of(store.use, store, path).code)
  end)

  it("reports a file that is not there", function()
    local err = support.error_of(store.use, store, folder .. "/nothing.lua")
    assert.are.equal("invalid", err.code)
    assert.is_truthy(err.message:find("nothing.lua", 1, true))
  end)

  -- ---- Budgets ----

  local function open(options)
    local log
    log, records = support.recorder()
    options.log = log
    store = support.seed(support.open(options))
  end

  local function add(content)
    return store:add({conversationId = "c1", role = "user", content = content or "x"}).message
  end

  -- A layer that runs `body` for the content "go", before it passes the op on.
  local function layer(body)
    return ([[return {ops = {"add"}, handle = function(op, next, ctx)
      if op.content == "go" then %s end
      return next(op)
    end}]]):format(body)
  end

  it("fails an op that goes past a budget, undoes it, names its layer, and runs the next: each budget is an option", function()
    for _, case in ipairs {
      {"timeout", {maxLuaMs = 20, maxLuaInstructions = 1 << 60}, "while true do end"},
      {"timeout", {maxLuaInstructions = 100000, maxLuaMs = 60000}, "while true do end"},
      {"memory", {maxLuaMemory = 4 << 20, maxLuaMs = 60000}, "local t = {} for i = 1, math.huge do t[i] = 'x' .. i end"},
      {"depth", {maxExecDepth = 1}, "ctx:exec(op)"},
    } do
      open(case[2])
      store:useString("outer", [[return {ops = {"add"}, handle = function(op, next, ctx)
        ctx:exec {op = "update", messageId = "m1", updates = {seen = true}}
        return op.content == "go" and ctx:exec(op) or next(op)
      end}]])
      store:useString("greedy", layer(case[3]))
      local before = support.snapshot(store)
      local err = support.error_of(add, "go")
      assert.are.same({case[1], "greedy"}, {err.code, err.layer})
      assert.are.equal(before, support.snapshot(store))
      assert.are.equal("x", add().content)
    end
  end)

  it("gives an op one second where the host says nothing", function()
    open {maxLuaInstructions = 1 << 60}
    store:useString("loops", layer "while true do end")
    local begun = os.clock()
    local err = support.error_of(add, "go")
    assert.are.equal("timeout", err.code)
    assert.matches("time budget of 1000 ms", err.message, 1, true)
    local worked = os.clock() - begun -- a part of that second, where others want the processor
    assert.is_true(worked > 0.1 and worked < 3)
  end)

  it("gives scripts 64 MiB where the host says nothing", function()
    open {maxLuaMs = 60000}
    store:useString("keeps", [[return {ops = {"add"}, handle = function(op, next)
      local kept = {}
      for i = 1, op.content do kept[i] = ("x"):rep((1 << 20) - 2) .. string.char(i, 0) end
      return next(op)
    end}]])
    assert.are.equal("56", add("56").content)
    assert.are.equal("memory", support.error_of(add, "65").code)
  end)

  it("counts memory above what the op itself brings", function()
    open {maxLuaMemory = 4 << 20}
    store:useString("looks", [[return {ops = {"add"}, handle = function(op, next)
      assert(#op.content == 8 << 20)
      return next(op)
    end}]])
    assert.are.equal(8 << 20, #add(("x"):rep(8 << 20)).content)
  end)

  it("gives no memory to what a layer hung on the op of a batch while its ops ran", function()
    open {maxLuaMemory = 4 << 20, maxLuaMs = 60000}
    store:useString("greedy", [[return {ops = {"batch", "add"}, handle = function(op, next, ctx)
      if op.op == "batch" then
        ctx.shared.batch = op
      elseif ctx.shared.batch then
        setmetatable(ctx.shared.batch, {__index = function()
          local text = "x"
          for _ = 1, 26 do text = text .. text end
          ctx.state.length = #text
        end})
      end
      local result = next(op)
      assert(ctx.state.length == nil)
      return result
    end}]])
    assert.are.equal("x", store:batch {ops = {{op = "add", conversationId = "c1", role = "user", content = "x"}}}
                               .results[1].message.content)
  end)

  it("charges for each table of an answer, though it was only once large", function()
    open {maxLuaMs = 20}
    store:useString("empties", [[return {ops = {"batch"}, handle = function()
      local large, results = {op = "update"}, {}
      for i = 1, 1 << 16 do large[i] = true end
      for i = 1, 1 << 16 do large[i] = nil end
      for i = 1, 10000 do results[i] = large end
      return {op = "batch", results = results}
    end}]])
    local err = support.error_of(store.batch, store, {ops = {{op = "update", messageId = "m1", updates = {}}}})
    assert.are.same({"timeout", "empties"}, {err.code, err.layer})
  end)

  it("counts no time in the terminal", function()
    local slow
    open {maxLuaMs = 400, now = function()
      local ends = os.clock() + (slow and 0.8 or 0)
      while os.clock() < ends do end
      return 1000
    end}
    store:useString("passes", [[return {ops = {"add"}, handle = function(op, next)
      local result = next(op)
      for _ = 1, 2000 do result = {op = result.op, message = result.message} end
      return result
    end}]])
    slow = true
    assert.are.equal("x", add().content)
  end)

  it("counts no time that is spent waiting for a lock", function()
    local path = support.path()
    local other = support.seed(support.open(nil, path))
    store = support.open({maxLuaMs = 250, busyTimeoutMs = 100}, path)
    store:useString("passes", [[return {ops = {"add"}, handle = function(op, next)
      local good, err = pcall(next, op)
      for _ = 1, 10000 do good = not good end
      error(err, 0)
    end}]])
    local err
    other:use(function(op, next)
      local result = next(op)
      err = support.error_of(add)
      return result
    end, "holds")
    other:add {conversationId = "c1", role = "user", content = "x"}
    assert.are.equal("busy", err.code)
  end)

  it("is not for scripts of a store that is opened as trusted: they have all of Lua, and no budget", function()
    open {trusted = true, maxLuaMs = 20, maxLuaInstructions = 1000}
    store:useString("free", layer [[
      local ends = os.clock() + 0.1
      while os.clock() < ends do end
      op.content = type(io.open) .. type(os.getenv) .. type(load) .. type(debug) .. type(require "lfs")]])
    assert.are.equal("functionfunctionfunctiontabletable", add("go").content)
  end)

  it("is not for the host's own functions: they have no budget", function()
    open {maxLuaMs = 20, maxLuaInstructions = 1000}
    store:use(function(op, next)
      local ends = os.clock() + 0.1
      while os.clock() < ends do end
      return next(op)
    end, "host")
    assert.are.equal("x", add().content)
  end)

  -- ---- Files and require ----

  local function says(path, config)
    store:use(path, config)
    store:createConversation()
    return records[#records].message
  end

  it("names a layer after its file", function()
    local path = write("two_words.lua", [[return function(op, next, ctx) ctx:log("info", ctx.layer) return next(op) end]])
    assert.are.equal("two-words", says(path))
  end)

  it("requires stock modules", function()
    assert.are.equal("true true function", value_of([[tostring(holdfast.json == require "holdfast.json") .. " " ..
      tostring(require "holdfast" == holdfast) .. " " .. type(holdfast.list)]], [[local holdfast = require "holdfast" ]]))
    assert.are.equal("soft-delete", value_of([[require "holdfast.middleware.soft_delete".name]]))
  end)

  it("requires files below the script's own folder, each once", function()
    assert(lfs.mkdir(folder .. "/lib"))
    write("helper.lua", [[loads = (loads or 0) + 1 return {name = ..., word = "help"}]])
    write("lib/deep_er.lua", [[local helper = require "helper" return function() return helper.word .. "ed" end]])
    write("nothing.lua", "")
    local path = write("main.lua", [[
      local config = ...
      local helper, deeper = require "helper", require "lib.deep_er"
      assert(helper == require "helper" and loads == 1 and helper.name == "helper" and require "nothing" == true)
      return function(op, next, ctx) ctx:log("info", deeper() .. config.mark) return next(op) end]])
    assert.are.equal("helped!", says(path, {mark = "!"}))
    assert.is_nil(package.loaded.helper)
  end)

  it("gives each script a module of its own", function()
    write("shared.lua", [[return {}]])
    store:use(write("first.lua", [[require "shared".mark = "first" return function(op, next) return next(op) end]]))
    local second = write("second.lua", [[
      local mark = tostring(require "shared".mark)
      return function(op, next, ctx) ctx:log("info", mark) return next(op) end]])
    assert.are.equal("nil", says(second))
  end)

  it("requires nothing from anywhere else", function()
    assert(lfs.mkdir(folder .. "/own"))
    write("outside.lua", "return 'outside'")
    write("own/inside.lua", "return 'inside'")
    assert(lfs.link("../outside.lua", folder .. "/own/link.lua", true))
    assert(lfs.link("..", folder .. "/own/up", true))
    for i, name in ipairs {"..outside", "../outside", ".outside", "outside", "own..outside", "link", "up.outside",
                           folder .. "/outside", "/etc/passwd", "", ".", "..", "inside.", "inside\0", "inside.lua",
                           "./inside", "lfs", "io", "os", "debug", "package", "string", "busted"} do
      local path = write("own/main" .. i .. ".lua", ("local found = require %q return {name = found}"):format(name))
      local err = support.error_of(store.use, store, path)
      assert.are.equal("invalid", err.code, name .. ": " .. err.message)
      assert.is_truthy(err.message:find("require", 1, true), ("%q: %s"):format(name, err.message))
    end
  end)

  it("requires no files from a script that came as text", function()
    local err = support.error_of(store.useString, store, "text", [[require "README" ]])
    assert.are.equal("invalid", err.code)
    assert.are.equal("text", err.layer)
  end)

  it("reports a module that does not compile or that raises, with its place", function()
    write("broken.lua", "\n\nretrun")
    write("raises.lua", "\nerror 'early'")
    for name, part in pairs {broken = "broken:3:", raises = "raises:2: early"} do
      local err = support.error_of(store.use, store, write("main.lua", ("require %q"):format(name)))
      assert.are.equal("main", err.layer)
      assert.is_truthy(err.message:find(part, 1, true), err.message)
    end
  end)
end)
