-- The documentation is true: what it shows runs and does what the page says, what it names exists, and its tables
-- are those of the sources.
--
-- A block of README.md or lua/README.md is a layer where it returns one, a spec where it describes something, else a
-- program. A ```text block is what the block before it prints; "…" stands for anything.

local holdfast = require "holdfast"
local lfs = require "lfs"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local root = lfs.currentdir()
local build = os.getenv "HOLDFAST_BUILD_DIR" or root .. "/build/default"

local function read(path)
  return assert(support.read(path), path .. " is not there")
end

-- ---- Pages ----

-- The fenced blocks of a page: language, text, line, and what it says that they print.
local function blocks_of(path)
  local blocks, open, number = {}, nil, 0
  for line in read(path):gmatch "([^\n]*)\n" do
    number = number + 1
    local fence = line:match "^```(.*)$"
    if not fence then
      if open then open.text = open.text .. line .. "\n" end
    elseif open then
      if open.language == "text" then blocks[#blocks].prints = open.text else blocks[#blocks + 1] = open end
      open = nil
    else
      open = {language = fence, text = "", where = path .. ":" .. number}
    end
  end
  return blocks
end

local function kind_of(block)
  if block.language ~= "lua" then return block.language end
  if block.text:find "%f[%w]describe%(" then return "spec" end
  return ("\n" .. block.text):find "\nreturn " and "layer" or "program"
end

local all, by_kind = {}, {}
for _, path in ipairs {"README.md", "lua/README.md"} do
  for _, block in ipairs(blocks_of(path)) do
    local kind = kind_of(block)
    by_kind[kind] = by_kind[kind] or {}
    table.insert(by_kind[kind], block)
    table.insert(all, block)
  end
end

-- The text under a heading, up to the next one.
local function section(path, heading)
  local text = read(path):match("\n## " .. heading .. "\n(.-)\n## ")
  return assert(text, path .. " has no section " .. heading)
end

-- The rows of the tables in a text: lists of their cells.
local function rows_of(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    if line:find "^| [^-]" then
      local cells = {}
      for cell in line:gmatch "|([^|]*)" do cells[#cells + 1] = cell:match "^%s*(.-)%s*$" end
      rows[#rows + 1] = cells
    end
  end
  return rows
end

-- What stands between backquotes.
local function names_in(text)
  local names = {}
  for name in text:gmatch "`([^`\n]+)`" do names[#names + 1] = name end
  return names
end

local function sorted(names)
  local list = table.move(names, 1, #names, 1, {})
  table.sort(list)
  return table.concat(list, " ")
end

local function camel(name) return (name:gsub("_(%l)", string.upper)) end

-- Whether the output is what the page says.
local function assert_printed(block, output)
  if not block.prints then return end
  local pattern = block.prints:gsub("%s+$", ""):gsub("%p", "%%%0"):gsub("…", ".-")
  local printed = output:gsub("%s+$", "")
  assert.is_truthy(printed:find("^" .. pattern .. "$"), block.where .. " printed:\n" .. output)
end

-- ---- Blocks that run ----

-- What the page says of each of its layers.
local claims = {}

claims["length-limit"] = {config = {maxCharacters = 3}, check = function(store)
  local function add(content) return store:add {conversationId = "c1", role = "user", content = content} end
  add "häß"
  assert.are.equal("tooLong", support.error_of(add, "long").code)
end}

claims.timing = {check = function(store, records)
  store:add {conversationId = "c1", role = "user", content = "hello"}
  assert.are.equal("add", records[#records].fields.op)
  assert.are.equal("integer", math.type(records[#records].fields.ms))
end}

claims.tidy = {check = function(store)
  local message = store:add({conversationId = "c1", role = "user", content = "to me@here.org, please"}).message
  assert.are.equal("to [email] please", message.content)
  store:updateContent {messageId = message.id, content = "you@there.org"}
  assert.are.equal("[email]", store:get({messageId = message.id}).message.content)
  store:createConversation {conversationId = "c2"}
  assert.are.equal("first", store:getConversation({conversationId = "c1"}).conversation.title)
  assert.are.equal("Untitled", store:getConversation({conversationId = "c2"}).conversation.title)
  assert.is_nil(store:getConversation({conversationId = "c3"}).conversation)
  assert.is_nil(store:listConversations().conversations[1].title)
end}

claims["no-emails"] = {check = function(store)
  store:reserve {conversationId = "c1", messageId = "a1", role = "assistant"}
  local held = {}
  for i, delta in ipairs {"to me", "@he", "re, or yo", "u@there", " and so"} do
    local result = store:append {messageId = "a1", delta = delta, seq = i}
    assert.are.same(result, store:append {messageId = "a1", delta = delta, seq = i})
    held[i] = result.held
  end
  assert.are.same({2, 5, 2, 9, 2}, held)
  assert.are.equal("to [email] or [email] and ", store:get({messageId = "a1"}).message.content)
  assert.are.equal("to [email] or [email] and so", store:abort({messageId = "a1"}).message.content)
  store:updateContent {messageId = "a1", content = "you@there.org"}
  assert.are.equal("[email]", store:get({messageId = "a1"}).message.content)
end}

claims["keep-all"] = {check = function(store)
  assert.is_false(store:delete({messageId = "m1"}).deleted)
  assert.are.equal("one", store:get({messageId = "m1"}).message.content)
  assert.are.equal(0, store:deleteConversation({conversationId = "c1"}).deletedMessages)
  assert.is_true(store:getConversation({conversationId = "c1"}).conversation.metadata.archived)
end}

claims.roles = {check = function(store)
  local err = support.error_of(store.add, store, {conversationId = "c1", role = "robot", content = "beep"})
  assert.are.equal("unknownRole", err.code)
  assert.are.equal("roles", err.layer)
  for _, message in ipairs(store:list({conversationId = "c1"}).messages) do assert.are_not.equal("robot", message.role) end
end}

claims.greeting = {config = {text = "Be brief."}, check = function(store)
  for _ = 1, 2 do store:createConversation {conversationId = "c2"} end
  local messages = store:list({conversationId = "c2"}).messages
  assert.are.equal("system Be brief.", messages[1].role .. " " .. messages[1].content)
  assert.are.equal(1, #messages)
  local source
  for _, block in ipairs(by_kind.layer) do
    if block.text:find('name = "greeting"', 1, true) then source = block.text end
  end
  for _, config in ipairs {{}, {text = 1}, {text = "", rolle = "user"}} do
    assert.are.equal("invalid", support.error_of(store.useString, store, "again", source, config).code)
  end
end}

claims.counter = {check = function(store, records)
  local function count() return store:getConversation({conversationId = "c1"}).conversation.metadata.count end
  store:add {conversationId = "c1", messageId = "m2", role = "user", content = "two"}
  store:add {conversationId = "c1", messageId = "m2", role = "user", content = "two"}
  assert.are.equal(1, count())
  assert.are.equal(1, records[#records].fields.count)
  store:useString("refuses", [[return {ops = {"updateConversation"}, handle = function(_, _, ctx) ctx:reject("denied") end}]])
  support.error_of(store.add, store, {conversationId = "c1", messageId = "m3", role = "user", content = "three"})
  assert.is_nil(store:get({messageId = "m3"}).message)
  assert.are.equal(1, #records)
end}

claims["new-id"] = {check = function(store)
  store:createConversation {conversationId = "c2"}
  local op = {conversationId = "c2", messageId = "m1", role = "user", content = "of another conversation"}
  assert.are_not.equal("m1", store:add(op).message.id)
  op.conversationId = "nowhere"
  local err = support.error_of(store.add, store, op)
  assert.are.equal("notFound", err.code)
  assert.is_nil(err.layer)
end}

describe("the layer of", function()
  after_each(support.clean)

  for _, block in ipairs(by_kind.layer) do
    local name = block.text:match 'name = "([%w-]+)"'
    it(block.where .. ", " .. name .. ", does what the page says, and takes every op", function()
      local claim = assert(claims[name], "docs_spec.lua knows no claim for the layer " .. name)
      local function open(config, seed)
        local log, records = support.recorder()
        local store = (seed or support.seed)(support.open {log = log})
        store:useString("named-in-the-block", block.text, config)
        return store, records
      end
      claim.check(open(claim.config))
      for _, op in ipairs(holdfast.ops) do
        local store = open(claim.config, support.seed_samples)
        local good, err = pcall(store.exec, store, support.sample(op))
        assert.is_true(good or err.code == "tooLong" or err.code == "unknownRole", tostring(err))
      end
    end)
  end
end)

describe("the program of", function()
  for _, block in ipairs(by_kind.program) do
    it(block.where .. " runs, and prints what the page says", function()
      local printed = {}
      local function print(...)
        local line = table.pack(...)
        for i = 1, line.n do line[i] = tostring(line[i]) end
        printed[#printed + 1] = table.concat(line, "\t") .. "\n"
      end
      assert(load(block.text, "=" .. block.where, "t", setmetatable({print = print}, {__index = _G})))()
      assert_printed(block, table.concat(printed))
    end)
  end
end)

-- A library with sanitizers wants a program with sanitizers: there, as with tests/consumer, nothing is compiled.
local sanitized = (os.getenv "LD_PRELOAD" or ""):find "asan" ~= nil

-- Lines that cannot run inside a test: the two commands, which install packages, build, and run this very test; and
-- the configuring and building of another tree, in whose place the tree of this test stands.
local left_out = {"^%./examples/quickstart%.sh", "^%./tests/run%.sh", "^cmake %-S"}

local function runnable(block)
  local lines = {}
  for line in block.text:gmatch "[^\n]+" do
    local out = false
    for _, pattern in ipairs(left_out) do out = out or line:find(pattern) ~= nil end
    if not out then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

describe("a folder with a build and the page's files", function()
  local folder

  -- The blocks name build/default, build/release and examples: links lead there.
  before_each(function()
    local pipe <close> = assert(io.popen "mktemp -d")
    folder = pipe:read "l"
    assert(lfs.mkdir(folder .. "/build"))
    for _, name in ipairs {"default", "release"} do assert(lfs.link(build, folder .. "/build/" .. name, true)) end
    assert(lfs.link(root .. "/examples", folder .. "/examples", true))
    support.write(folder .. "/example.c", by_kind.c[1].text)
    for _, block in ipairs(by_kind.spec) do
      local subject = block.text:match 'describe%("([%w-]+)"'
      support.write(folder .. "/" .. subject:gsub("-", "_") .. "_spec.lua", block.text)
    end
  end)

  after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

  local function sh(script)
    support.write(folder .. "/script", script)
    local pipe = assert(io.popen(("cd '%s' && HOME=$PWD sh -e ./script 2>&1"):format(folder)))
    local output = pipe:read "a"
    local _, _, status = pipe:close()
    assert.are.equal(0, status, script .. "\n" .. output)
    return output
  end

  for _, block in ipairs(by_kind.sh) do
    local script = runnable(block)
    if script ~= "" and not (sanitized and script:find "cc example.c") then
      it("runs the commands of " .. block.where, function()
        local output = sh(script)
        assert.is_nil(output:find '"error"')
        assert_printed(block, output)
      end)
    end
  end

  for _, block in ipairs(by_kind.spec) do
    local subject = block.text:match 'describe%("([%w-]+)"'
    it("runs the spec of " .. block.where, function()
      sh("lua5.4 /usr/bin/busted --cpath='build/default/lua/?.so' " .. subject:gsub("-", "_") .. "_spec.lua")
    end)
  end
end)

it("README.md names two commands that are there", function()
  for command in by_kind.sh[1].text:gmatch "%./%S+" do
    assert.are.equal("rwx", lfs.attributes(command, "permissions"):sub(1, 3), command)
  end
end)

-- ---- Tables that are a list of the source's ----

-- The list of ops: {name, fields, results}, with "?" behind what is optional, in the spelling of Lua and of C.
local function read_ops()
  local ops, named = {}, {}
  for line in read("src/op/ops.def"):gmatch "[^\n]+" do
    local macro, arguments = line:match "^(HF_%u+)%((.*)%)$"
    local a = {}
    for word in (arguments or ""):gmatch "[%w_]+" do a[#a + 1] = word end
    local need = a[#a] == "OPTIONAL" and "?" or ""
    local op = named[a[1]]
    if macro == "HF_OP" then
      ops[#ops + 1] = {name = a[1], fields = {}, results = {}, c_fields = {}, c_results = {}}
      named[a[1]] = ops[#ops]
    elseif macro == "HF_FIELD" then
      table.insert(op.fields, a[2] .. need)
      table.insert(op.c_fields, a[3] .. need)
    elseif macro == "HF_SUBFIELD" then
      table.insert(op.fields, ("%s?{%s%s}"):format(a[2], a[3], need))
      table.insert(op.c_fields, a[4] .. need)
    elseif macro == "HF_RESULT" then
      table.insert(op.results, a[2] .. need)
      table.insert(op.c_results, a[3])
      op.or_none = op.or_none or need == "?" and (a[4] == "MESSAGE" or a[4] == "CONVERSATION")
    end
  end
  return ops
end

describe("the table of", function()
  it("ops in README.md is the list of ops", function()
    local expected, found = {}, {}
    for _, op in ipairs(read_ops()) do
      expected[#expected + 1] = ("%s: %s -> %s"):format(op.name, table.concat(op.fields, " "), table.concat(op.results, " "))
    end
    for _, row in ipairs(rows_of(section("README.md", "Ops"))) do
      local name = row[1]:match "^`(%w+)`$"
      found[#found + 1] = name and ("%s: %s -> %s"):format(name, table.concat(names_in(row[2]), " "),
                                                           table.concat(names_in(row[3]), " "))
    end
    assert.are.same(expected, found)
  end)

  it("ops above hf_op in holdfast.h is the list of ops", function()
    local expected, found = {}, {}
    for _, op in ipairs(read_ops()) do
      local results = #op.c_results > 0 and table.concat(op.c_results, ", ") or "-"
      expected[#expected + 1] = ("%s: %s -> %s%s"):format(op.name, table.concat(op.c_fields, " "), results,
                                                         op.or_none and ", or none" or "")
    end
    local heading, lines = read("include/holdfast.h"):match "\n( %*   op +fields[^\n]*result)\n(.-)\n %*/"
    local at_fields, at_result = heading:find "fields", heading:find "result"
    local function words(line, from, to) return (line:sub(from, to):gsub("^%s+", ""):gsub("%s+$", ""):gsub("%s+", " ")) end
    local rows = {}
    for line in lines:gmatch "[^\n]+" do
      local name = line:match "^ %*   (%w+)"
      if name then rows[#rows + 1] = {name = name, fields = "", result = ""} end
      local row = rows[#rows]
      row.fields = words(row.fields .. " " .. line:sub(at_fields, at_result - 1), 1, -1)
      row.result = words(row.result .. " " .. line:sub(at_result), 1, -1)
    end
    for i, row in ipairs(rows) do found[i] = ("%s: %s -> %s"):format(row.name, row.fields, row.result) end
    assert.are.same(expected, found)
  end)

  it("rows in lua/README.md is the list's", function()
    for row, line in section("lua/README.md", "Ops and answers"):gmatch "%- `(%w+)`: ([^\n]+)" do
      local expected = {}
      for name, need in read("src/op/ops.def"):gmatch("HF_COLUMN%(" .. row .. ", (%w+), [%w_]+, %w+, (%w+)%)") do
        expected[#expected + 1] = name .. (need == "OPTIONAL" and "?" or "")
      end
      assert.are.equal(table.concat(expected, " "), table.concat(names_in(line), " "))
    end
  end)

  it("a layer's fields in lua/README.md is what the engine knows", function()
    local known, found = read("src/chain/load.c"):match "known%[%] = {(.-)}", {}
    for _, row in ipairs(rows_of(section("lua/README.md", "A file"))) do found[#found + 1] = row[1]:match "^`(%w+)`$" end
    local expected = {}
    for name in known:gmatch '"(%w+)"' do expected[#expected + 1] = name end
    assert.are.equal(sorted(expected), sorted(found))
  end)

  it("ctx in lua/README.md is all that ctx has", function()
    local source, header = read "src/chain/context.c", read "include/holdfast.h"
    local expected, found = {}, {}
    for name in source:gmatch '{"(%w+)", l_[%w_]+}' do expected[#expected + 1] = "ctx:" .. name end
    for name in source:gmatch 'strcmp%(name, "(%w+)"%)' do expected[#expected + 1] = "ctx." .. name end
    for name in header:match("struct hf_context {(.-)\n}"):gmatch "([%w_]+);" do
      if name ~= "extras" then expected[#expected + 1] = "ctx." .. camel(name) end
    end
    for _, row in ipairs(rows_of(section("lua/README.md", "What `ctx` has"))) do
      for _, name in ipairs(names_in(row[1])) do found[#found + 1] = name:match "^ctx[.:]%w+" end
    end
    assert.are.equal(sorted(expected), sorted(found))
  end)

  it("codes in lua/README.md is that of holdfast.h", function()
    local expected, found = {}, {}
    for name in read("include/holdfast.h"):match("#define HF_CODE_MAP.-\n\n"):gmatch 'XX%([%u_]+, "(%w+)"' do
      if name ~= "layer" then expected[#expected + 1] = name end
    end
    for _, row in ipairs(rows_of(section("lua/README.md", "Errors"))) do
      for _, name in ipairs(names_in(row[1])) do found[#found + 1] = name end
    end
    assert.are.equal(sorted(expected), sorted(found))
  end)

  it("options in lua/README.md is all that holdfast.open takes", function()
    local values = {durability = "normal", trusted = false, viewDir = "view"}
    for _, name in ipairs {"log", "trace", "now", "random"} do values[name] = error end
    local found, expected = {}, {}
    for _, row in ipairs(rows_of(section("lua/README.md", "Budgets"))) do
      for _, name in ipairs(row[1] ~= "`holdfast.open`" and names_in(row[1]) or {}) do
        local value = values[name]
        if value == nil then value = 5 end
        holdfast.open(":memory:", {[name] = value}):close()
        found[#found + 1] = name
        assert.are.equal(name, camel(row[2]:match "^`([%w_]+)`$" or name))
      end
    end
    local only_c = {size = true, logData = true, traceData = true, sourceData = true, terminal = true,
                    maxSubmitted = true, maxReaders = true}
    local members = read("include/holdfast.h"):match "typedef struct hf_options {(.-)\n} hf_options;"
    for member in members:gsub("/%*.-%*/", ""):gmatch "[^;]+;" do
      local name = camel(member:match "%(%*([%w_]+)%)" or member:match "([%w_]+);$")
      if not only_c[name] then expected[#expected + 1] = name end
    end
    assert.are.equal(sorted(expected), sorted(found))
  end)

  it("what the sandbox has, in lua/README.md, is its allow-list", function()
    local of_older_lua = {atan2 = true, cosh = true, frexp = true, ldexp = true, log10 = true, pow = true, sinh = true,
                          tanh = true}
    local expected, found = {"_G", "require"}, {}
    for line in section("lua/README.md", "The sandbox"):gmatch "\n    ([^\n]+)" do
      local library, rest = line:match "^(%l[%l%d]+)  +(.*)$"
      local but = rest and rest:match "^all but (%w+)$"
      if but or rest == "all" then
        for name in pairs(_G[library]) do
          if name ~= but and not of_older_lua[name] then found[#found + 1] = library .. "." .. name end
        end
      else
        for name in (rest or line):gmatch "%S+" do found[#found + 1] = (library and library .. "." or "") .. name end
      end
    end
    for name in read("src/script/sandbox.c"):match("allowed%[%] = {(.-)}"):gmatch '"([%w_.]+)"' do
      expected[#expected + 1] = name
    end
    assert.are.equal(sorted(expected), sorted(found))
  end)
end)

-- ---- What the pages name ----

local function tree()
  local files, text = {}, {}
  local function walk(folder)
    for name in lfs.dir(folder) do
      local path = folder .. "/" .. name
      local mode = name:sub(1, 1) ~= "." and lfs.attributes(path, "mode")
      if mode == "directory" then walk(path) end
      if mode == "file" then
        files[#files + 1] = path
        if name:find "%.[ch]$" or name:find "%.def$" then text[#text + 1] = read(path) end
      end
    end
  end
  for _, folder in ipairs {"src", "include", "lua", "tests", "examples"} do walk(folder) end
  return files, table.concat(text, "\n")
end

describe("the pages", function()
  local files, source = tree()
  local pages = {"README.md"}
  for _, path in ipairs(files) do
    if path:find "/README%.md$" then pages[#pages + 1] = path end
  end

  it("are in each folder that holds code of its own", function()
    for _, path in ipairs(files) do
      local folder = path:match "^(src/%w+)/[^/]+%.c$" or path:match "^(%w+)/[^/]+%.%l+$"
      if folder and folder ~= "include" then
        assert.is_truthy(lfs.attributes(folder .. "/README.md"), folder .. " has no README.md")
      end
    end
  end)

  local endings = {c = true, h = true, def = true, lua = true, sh = true}

  local function is_there(name)
    if endings[name:match "^[%w_./-]+%.(%l+)$"] then
      for _, path in ipairs(files) do
        if ("/" .. path):sub(-#name - 1) == "/" .. name:gsub("^%./", "") then return true end
      end
      return source:find("#include <[%w/]*" .. name:gsub("%p", "%%%0") .. ">") ~= nil -- another library's
    end
    if not name:find "^hf_[%w_]+$" or name:find "NAME$" then return true end
    return source:find("%f[%w_]" .. name .. "%f[^%w_]") ~= nil
  end

  it("of the sources name files and functions that are there", function()
    for _, page in ipairs(pages) do
      for _, name in ipairs(page:find "^[set]" and names_in(read(page)) or {}) do -- src, tests, examples
        assert.is_true(is_there(name), page .. " names " .. name)
      end
    end
  end)

  it("for readers name functions of the header", function()
    local header = read "include/holdfast.h" .. read "include/holdfast_lua.h"
    for _, page in ipairs {"README.md", "lua/README.md"} do
      for name in read(page):gmatch "%f[%w_](hf_[%w_]+)" do
        assert.is_truthy(header:find("%f[%w_]" .. name .. "%f[^%w_]"), page .. ": " .. name)
      end
    end
  end)

  it("link to what is there", function()
    for _, page in ipairs(pages) do
      for target in read(page):gmatch "%]%(([^)#]+)[^)]*%)" do
        local path = (page:match "^.*/" or "") .. target
        assert.is_truthy(target:find "^https?:" or lfs.attributes(path), page .. ": " .. target)
      end
    end
  end)

  it("name commands and options that the program has", function()
    local pipe <close> = assert(io.popen(
      ("p='%s'; $p --help; for c in run show import tail recover doctor; do $p $c --help; done"):format(support.program)))
    local help = pipe:read "a"
    for _, page in ipairs {"README.md", "lua/README.md", "tests/README.md", "examples/README.md"} do
      local text = read(page)
      for command in text:gmatch "%f[%w]holdfast (%l+)%f[^%w][^.]" do
        local known = help:find("\n  " .. command .. " ", 1, true)
        if text:find("`holdfast " .. command, 1, true) or text:find("default/holdfast " .. command, 1, true) then
          assert.is_truthy(known, page .. ": holdfast " .. command)
        end
      end
      for option in text:gmatch "`[^`\n]*holdfast %l+[^`\n]* (%-%-%l+)" do
        assert.is_truthy(help:find("  " .. option .. " ", 1, true), page .. ": " .. option)
      end
    end
  end)
end)
