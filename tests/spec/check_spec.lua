-- What is found in middleware: holdfast.conform, `holdfast check`, and `holdfast spec`.

local holdfast = require "holdfast"
local conform = require "holdfast.conform"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- What does not pass: {what, source, line, a part of the message}.
local bad = {
  {"a syntax error", "local x = 1\nreturn {handle = function(op, next) return next(op end}", 2, "')' expected near 'end'"},
  {"a binary chunk", string.dump(function() end), 1, "binary chunk"},
  {"a chunk that returns nothing", "local function handle() end", 1, "found nil"},
  {"a chunk that raises", "local config = ...\n\nlocal limit = config.limit + 1\nreturn print", 3, "field 'limit'"},
  {"an unknown field", "return {\n  hanlde = function(op, next) return next(op) end,\n}", 2, 'did you mean "handle"'},
  {"an unknown op", 'return {\n  ops = {\n    "add",\n    "updateContnet",\n  },\n  handle = function() end}', 4,
   'did you mean "updateContent"'},
  {"an unknown op in `on`", "return {on = {\n  remove = function() end}}", 2, "unknown op"},
  {"a global that is set", "local n = 0\nreturn function(op, next)\n  m = n + 1\n  return next(op)\nend", 3,
   'sets the global "m"'},
  {"a global that is not there", "return function(op, next)\n  if next == nil then\n    prin(op)\n  end\n  return next(op)\nend",
   3, 'reads the global "prin"'},
  {"a library that the sandbox lacks", "local io = io\nreturn function(op, next) return next(op) end", 1, '"io"'},
  {"a function that the sandbox lacks",
   "return function(op, next)\n  local time = op.x and os.execute \"date\"\n  return next(op)\nend", 2, "os.execute"},
  {"a global behind many constants",
   "local words = {\n" .. ("  %q,\n"):rep(300):gsub("%%q", (function()
     local n = 0
     return function() n = n + 1 return '"w' .. n .. '"' end
   end)()) .. "}\nlocal function unused() return words, missing end\n"
   .. "return function(op, next) return next(op) end, unused, lacking",
   304, '"lacking"'},
  {"a layer that does nothing", "local x\nreturn {on = {\n  delete = function() return x end,\n}}", 3, "neither called next"},
  {"metadata taken for granted", 'return {ops = {"add"}, handle = function(op, next)\n'
   .. "  op.content = op.metadata.lang .. op.content\n  return next(op)\nend}", 2, "add: attempt to index a nil value"},
  {"content taken for JSON", 'local json = require "holdfast.json"\nreturn {ops = {"add"}, handle = function(op, next)\n'
   .. "  op.metadata = json.decode(op.content)\n  return next(op)\nend}", nil, "JSON, byte 1"},
  {"null taken for a text", 'return {ops = {"update"}, handle = function(op, next)\n  for _, value in pairs(op.updates) do\n'
   .. "    if type(value) ~= 'number' and type(value) ~= 'table' and type(value) ~= 'string' then value:len() end\n  end\n"
   .. "  return next(op)\nend}", 3, "updates with null"},
  {"a result that does not fit", 'return {on = {\n  list = function(op, next, ctx)\n'
   .. "    return ctx:reply {messages = next(op).messages, more = true}\n  end,\n}}", 2, 'no field "more"'},
  {"an id that is dropped", 'return {ops = {"add"},\n  handle = function(op, next)\n'
   .. '    return next {op = "add", conversationId = op.conversationId, role = op.role, content = op.content}\n  end}', 2,
   "the answer's id is not the op's messageId"},
  {"an id that is stored as another", 'return {ops = {"reserve"}, handle = function(op, next)\n  local id = op.messageId\n'
   .. '  op.messageId = "another"\n  local result = next(op)\n  result.message.id = id\n  return result\nend}', 1,
   "what was stored does not bear the op's messageId"},
  {"a conversation's id that is dropped", 'return {ops = {"createConversation"}, handle = function(op, next)\n'
   .. "  return next {op = op.op, title = op.title}\nend}", 1, "the answer's id is not the op's conversationId"},
  {"an error from below that is mishandled", 'return {ops = {"updateContent"}, handle = function(op, next)\n'
   .. "  local good, result = pcall(next, op)\n  return good and result or result.answer.op\nend}", 3, "failing below"},
  {"a loop without end", 'return {ops = {"add"}, handle = function(op, next)\n  while #op.content > 60000 do end\n'
   .. "  return next(op)\nend}", nil, "went past its "},
  {"more memory than is allowed", 'return {ops = {"add"}, handle = function(op, next)\n'
   .. "  local all = {}\n  if #op.content > 60000 then for i = 1, 1e4 do all[i] = op.content .. i end end\n"
   .. "  return next(op)\nend}", nil, "memory"},
  {"a false claim of idempotence", 'return {idempotent = true, ops = {"add"}, handle = function(op, next, ctx)\n'
   .. '  local result = next(op)\n  ctx:exec {op = "add", conversationId = op.conversationId, role = "log", content = "seen"}\n'
   .. "  return result\nend}", 1, "declared idempotent"},
}

-- What passes, though it may look odd.
local good = {
  {"a bare function", "return function(op, next) return next(op) end"},
  {"a refusal of everything", 'return {ops = "*", handle = function(_, _, ctx) ctx:reject("closed-for-today", "come back") end}'},
  {"an error code of the layer's own", 'return function() error({code = "denied", message = "no"}, 0) end'},
  {"every read and write answered elsewhere", 'return {on = {get = function(_, _, ctx) return ctx:reply {} end}}'},
  {"an op that becomes another", 'return {on = {delete = function(op, next, ctx)\n'
   .. '  next {op = "update", messageId = op.messageId, updates = {gone = true}}\n'
   .. '  return ctx:reply {deleted = true, segmentIds = {}, deletedSummaryIds = {}}\nend}}'},
  {"a local _ENV, and locals named as what the sandbox lacks",
   "local io, os = {open = 1}, {exit = 2}\nlocal function f(_ENV) return unknown, io.open, os.exit end\nf {}\n"
   .. "return function(op, next) return next(op) end"},
  {"an error from below that is answered", 'return {on = {delete = function(op, next, ctx)\n'
   .. "  local done, result = pcall(next, op)\n"
   .. "  return done and result or ctx:reply {deleted = false, segmentIds = {}, deletedSummaryIds = {}}\nend}}"},
  {"a true claim of idempotence", 'return {idempotent = true, ops = {"add"}, handle = function(op, next, ctx)\n'
   .. '  ctx:exec {op = "add", messageId = op.messageId .. "-log", conversationId = op.conversationId, role = "log", '
   .. 'content = "seen"}\n  return next(op)\nend}'},
}

describe("middleware that is checked", function()
  local folder

  setup(function()
    local pipe <close> = assert(io.popen("mktemp -d"))
    folder = pipe:read "l"
  end)
  teardown(function() os.execute("rm -rf " .. quote(folder)) end)

  local function write(name, text) return support.write(folder .. "/" .. name, text) end

  -- Runs the program: its status, standard output and standard error.
  local function run(arguments, before)
    local _, _, status = os.execute(("%s %s %s >%s/out 2>%s/err"):format(before or "", quote(support.program), arguments,
      folder, folder))
    return status, support.read(folder .. "/out"), support.read(folder .. "/err")
  end

  local function show(findings)
    local text = {}
    for i, found in ipairs(findings) do text[i] = ("%s:%d: %s"):format(found.file, found.line, found.message) end
    return table.concat(text, "\n")
  end

  for number, case in ipairs(bad) do
    local what, source, line, part = table.unpack(case, 1, 4)
    it("is found out: " .. what, function()
      local path = write(("bad_%d.lua"):format(number), source)
      local findings = conform.check(path)
      assert.is_true(#findings > 0, "nothing was found")
      local seen = false
      for _, found in ipairs(findings) do
        assert.equal(path, found.file)
        assert.equal("integer", math.type(found.line))
        seen = seen or (line == nil or found.line == line) and found.message:find(part, 1, true) ~= nil
      end
      assert.is_true(seen, show(findings))
    end)
  end

  for number, case in ipairs(good) do
    it("passes: " .. case[1], function()
      assert.equal("", show(conform.check(write(("good_%d.lua"):format(number), case[2]))))
    end)
  end

  it("is given its configuration", function()
    local path = write("configured.lua", "local config = ...\nlocal most = config.most + 0\n"
      .. "return function(op, next)\n  if most > 1 then op = op.x.y end\n  return next(op)\nend")
    assert.equal("", show(conform.check(path, {most = 1})))
    assert.equal(4, conform.check(path, {most = 2})[1].line)
    assert.equal(2, conform.check(path)[1].line)
    assert.equal(0, (run("check " .. quote(path .. '={"most":1}'))))
    assert.equal(1, (run("check " .. quote(path .. '={"most":2}'))))
  end)

  it("tells a problem once, however many ops show it", function()
    local findings = conform.check(write("once.lua", "return function(op, next)\n  return next(op.nothing.there)\nend"))
    assert.equal(1, #findings, show(findings))
  end)

  it("leaves no files behind", function()
    local function count()
      local pipe <close> = assert(io.popen("ls -a " .. quote(folder) .. " | wc -l"))
      return pipe:read "n"
    end
    local path = write("tidy.lua", "return function(op, next) return next(op) end")
    local before, tmpname = count(), os.tmpname
    os.tmpname = function() return write("check.db", "") end -- luacheck: ignore
    local done, findings = pcall(conform.check, path)
    os.tmpname = tmpname -- luacheck: ignore
    assert.is_true(done, findings)
    assert.equal(before, count())
  end)

  it("passes where it is stock, or an example", function()
    local pipe <close> = assert(io.popen "ls lua/holdfast/middleware/*.lua examples/middleware/*.lua")
    local paths = {}
    for path in pipe:lines() do paths[#paths + 1] = quote(path) end
    assert.is_true(#paths >= 8)
    assert.same({0, "", ""}, {run("check " .. table.concat(paths, " "))})
  end)

  it("is told of by the program as file, line and message", function()
    local path = write("shown.lua", "return {\n  nmae = 'x',\n  handle = function(op, next) return next(op) end,\n}")
    local fine = write("fine.lua", "return function(op, next) return next(op) end")
    local status, out, err = run("check " .. quote(fine) .. " " .. quote(path))
    assert.equal(1, status)
    assert.equal(path .. ':2: the middleware\'s table has the unknown field "nmae"; did you mean "name"?\n', out)
    assert.equal("", err)
    assert.equal(0, (run("check " .. quote(fine))))
    assert.equal(2, (run "check"))
    local missing, _, note = run("check " .. quote(fine) .. " none.lua")
    assert.equal(3, missing)
    assert.is_truthy(note:find("none.lua: No such file", 1, true))
    assert.equal(2, (run("check " .. quote(fine .. "={x}"))))
  end)

  -- ---- spec ----

  describe("by specs", function()
    it("meets the engine of the program that runs them", function()
      local path = write("engine_spec.lua", ([[
        local conform = require "holdfast.conform" -- before the engine: a file of its own
        describe("the engine", function()
          it("is there", function()
            local holdfast = require "holdfast"
            local store <close> = holdfast.open ":memory:"
            assert.equal(%q, holdfast.version)
            assert.is_function(conform.check)
            store:use "redact"
          end)
        end)
      ]]):format(holdfast.version))
      local status, out, err = run("spec " .. quote(path) .. " -- --output=TAP")
      assert.equal(0, status, out .. err)
      assert.is_truthy(out:find("ok 1 ", 1, true), out)
    end)

    it("fails with 1, however many of them fail", function()
      local path = write("failing_spec.lua", 'for i = 1, 3 do it("fails " .. i, function() error "so" end) end')
      assert.equal(1, (run("spec " .. quote(path))))
    end)

    it("says what is missing", function()
      local status, out, err = run("spec x", "PATH=/nonexistent")
      assert.same({2, ""}, {status, out})
      assert.is_truthy(err:find("busted is not installed", 1, true), err)
      local other, _, note = run("spec x", "HOLDFAST_BUSTED=/nonexistent/busted")
      assert.equal(2, other)
      assert.is_truthy(note:find("HOLDFAST_BUSTED=/nonexistent/busted", 1, true), note)
    end)
  end)
end)
