-- The chain and what a layer may do in it. Every case runs with layers that are the host's functions, and
-- again with the same text as sandboxed scripts.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local uuid7 = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-7%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"
local reads = {get = true, list = true, read = true, search = true, getConversation = true, listConversations = true}

local function add_op(fields)
  local op = {op = "add", conversationId = "c1", role = "user", content = "hello"}
  for name, value in pairs(fields or {}) do op[name] = value end
  return op
end

-- The text of a layer: `body` handles the op; `ops` is the text of its list of names.
local function layer(body, ops)
  return ("return {%s handle = function(op, next, ctx) %s end}"):format(ops and "ops = " .. ops .. "," or "", body)
end

for _, form in ipairs {"function", "sandboxed"} do
  describe("a chain of " .. form .. " layers:", function()
    local store, records

    local function open()
      local log
      log, records = support.recorder()
      store = support.open {log = log}
      return support.seed(store)
    end

    local function use(name, source, config)
      if form == "sandboxed" then return store:useString(name, source, config) end
      return store:use(assert(load(source, "=" .. name))(config), name)
    end

    -- What the layers said to the log, as "layer: message".
    local function said()
      local lines = {}
      for i, record in ipairs(records) do lines[i] = record.layer .. ": " .. record.message end
      return lines
    end

    local function contents()
      local found = {}
      for i, message in ipairs(store:list({conversationId = "c1"}).messages) do found[i] = message.content end
      return found
    end

    -- The error of an op, which leaves the store as it was.
    local function fails(op, context)
      local before = support.snapshot(store)
      local err = support.error_of(store.exec, store, op, context)
      assert.are.equal(before, support.snapshot(store))
      return err
    end

    before_each(open)
    after_each(support.clean)

    -- ---- The four things a layer can do ----

    it("runs the layers like an onion, the first registered outermost", function()
      for _, name in ipairs {"a", "b", "c"} do
        use(name, layer [[ctx:log("info", "down") local result = next(op) ctx:log("info", "up") return result]])
      end
      store:exec(add_op())
      assert.are.same({"a: down", "b: down", "c: down", "c: up", "b: up", "a: up"}, said())
    end)

    it("lets a layer observe the op and its result, and passes the result on where it returns nothing", function()
      use("watch", layer [[
        ctx:log("info", "content", {content = op.content, id = op.messageId})
        local result = next(op)
        ctx:log("info", "stored", {state = result.message.state, id = result.message.id})]])
      local result = store:exec(add_op())
      assert.are.equal("hello", result.message.content)
      assert.are.same({content = "hello", id = result.message.id}, records[1].fields)
      assert.are.same({state = "final", id = result.message.id}, records[2].fields)
      assert.is_truthy(result.message.id:match(uuid7))
    end)

    it("shows a layer every field of the op, and none besides", function()
      use("pairs", layer [[
        local names = {}
        for name in pairs(op) do names[#names + 1] = name end
        table.sort(names)
        ctx:log("info", table.concat(names, " "))
        return next(op)]])
      store:exec(add_op {addOptions = {skipIndexing = true}, metadata = {}, createdAtMs = 1, syncToDisk = false})
      assert.are.equal("addOptions content conversationId createdAtMs messageId metadata op role syncToDisk",
                       records[1].message)
    end)

    it("gives a layer the op as a plain table", function()
      use("plain", layer [[
        assert(type(op) == "table" and getmetatable(op) == nil)
        for name, value in pairs(op) do assert(rawequal(rawget(op, name), value), name) end
        return next(op)]])
      store:exec(add_op {metadata = {a = {1}}})
    end)

    it("lets a layer rewrite the op, in place or by another table, and the result", function()
      use("outside", layer [[
        local result = next(op)
        result.message.role = "changed on the way out"
        return result]])
      use("in-place", layer [[op.content = op.content .. " in place" return next(op)]])
      use("another", layer [[
        local other = {}
        for name, value in pairs(op) do other[name] = value end
        other.content = op.content .. " in another"
        return next(other)]])
      local message = store:exec(add_op()).message
      assert.are.equal("hello in place in another", message.content)
      assert.are.equal("changed on the way out", message.role)
      message = store:get({messageId = message.id}).message
      assert.are.equal("hello in place in another", message.content)
      assert.are.equal("user", message.role)
    end)

    it("lets a layer answer: nothing below runs, the database is not touched", function()
      use("answer", layer [[
        return ctx:reply {message = {id = op.messageId, conversationId = op.conversationId, role = op.role,
                          content = "from the layer", createdAt = 1, state = "final", metadata = {a = {}}}}]])
      use("below", layer [[ctx:log("info", "ran") return next(op)]])
      local before = support.snapshot(store)
      local result = store:exec(add_op {messageId = "x"})
      assert.are.equal("from the layer", result.message.content)
      assert.are.equal("x", result.message.id)
      assert.are.equal("add", result.op)
      assert.are.same({}, said())
      assert.are.equal(before, support.snapshot(store))
    end)

    it("takes an answer that is a plain table with its op", function()
      use("answer", layer([[return {op = "get"}]], [[{"get"}]]))
      assert.are.same({op = "get"}, store:get {messageId = "m1"})
    end)

    it("fills in the op of what is given to ctx:reply", function()
      use("answer", layer([[return ctx:reply {}]], [[{"get", "update"}]]))
      assert.are.same({op = "get"}, store:get {messageId = "m1"})
      assert.are.same({op = "update"}, store:update {messageId = "m1", updates = {}})
    end)

    it("lets a layer refuse with a code of the engine's or its own", function()
      use("refuse", layer [[ctx:reject(op.content, "because")]])
      for _, code in ipairs {"denied", "tooLate", "conflict"} do
        local err = fails(add_op {content = code, messageId = "x"})
        assert.are.equal(code, err.code)
        assert.are.equal("because", err.message)
        assert.are.equal("refuse", err.layer)
        assert.are.equal("add", err.op)
        assert.are.equal("x", err.messageId)
      end
    end)

    it("lets a layer refuse by an error with a code", function()
      use("refuse", layer [[error {code = "quota", message = "enough for today"}]])
      local err = fails(add_op())
      assert.are.equal("quota", err.code)
      assert.are.equal("enough for today", err.message)
      assert.are.equal("refuse", err.layer)
      assert.are.equal('layer "refuse": add: quota: enough for today', tostring(err))
    end)

    -- ---- Errors ----

    it("makes a raised text an error of the layer, with place and traceback", function()
      use("oops", layer [[error "broken"]])
      local err = fails(add_op {messageId = "x"})
      assert.are.equal("middleware", err.code)
      assert.is_truthy(err.message:find("oops:1: broken", 1, true), err.message)
      assert.are.equal("oops", err.layer)
      assert.are.equal("add", err.op)
      assert.are.equal("x", err.messageId)
      assert.is_truthy(err.traceback:find("oops:1:", 1, true), err.traceback)
      assert.are.equal('layer "oops": add: middleware: ' .. err.message, tostring(err))
    end)

    it("makes an error of the layer of whatever is raised", function()
      for i, value in ipairs {"nil", "42", "{}", "true", "setmetatable({code = 'x'}, {})", "{code = 7}", "{code = ''}",
                              "{code = ('x'):rep(64)}", "next", "('x'):rep(100000)", "'a\\nb'", "'\\xff'"} do
        open()
        use("raise-" .. i, layer("error(" .. value .. ")"))
        local err = fails(add_op())
        assert.are.equal("middleware", err.code, value)
        assert.are.equal("raise-" .. i, err.layer)
        assert.is_truthy(#err.message > 0)
        assert.is_nil(err.message:find "%c")
        assert.is_truthy(utf8.len(err.message))
      end
    end)

    it("names the layer that raised, not the ones around it", function()
      use("outer", layer [[return next(op)]])
      use("inner", layer [[local nothing; return nothing.field]])
      use("below", layer [[return next(op)]])
      assert.are.equal("inner", fails(add_op()).layer)
    end)

    it("tells every error in one readable line", function()
      for i, value in ipairs {"'a\\nb'", "{code = 'quota', message = 'a\\nb\\tc'}", "{code = 'quota', message = '\\xff'}"} do
        open()
        use("raise-" .. i, layer("error(" .. value .. ")"))
        local line = tostring(fails(add_op()))
        assert.is_truthy(utf8.len(line) and not line:find "%c", line)
        assert.is_truthy(line:find('layer "raise-' .. i .. '": add: ', 1, true), line)
      end
    end)

    it("gives an outer layer the very error that was raised, with all its fields", function()
      use("outermost", layer [[
        local good, err = pcall(next, op)
        assert(not good and rawequal(err, ctx.shared.caught))
        error(err, 0)]])
      use("outer", layer [[
        local good, err = pcall(next, op)
        assert(not good and rawequal(err, ctx.shared.raised) and err.detail.n == 1)
        assert(tostring(err) == 'layer "inner": add: quota: no', tostring(err))
        ctx.shared.caught = err
        error(err, 0)]])
      use("inner", layer [[ctx.shared.raised = {code = "quota", message = "no", detail = {n = 1}} error(ctx.shared.raised)]])
      local err = fails(add_op())
      assert.are.equal("quota", err.code)
      assert.are.equal("inner", err.layer)
    end)

    it("brings the terminal's error through the layers unchanged, and names none of them", function()
      use("outer", layer [[
        local good, err = pcall(next, op)
        ctx:log("info", err.code, {message = err.message, layer = err.layer, id = err.messageId})
        error(err, 0)]])
      use("inner", layer [[return next(op)]])
      local err = fails(add_op {conversationId = "nowhere", messageId = "x"})
      assert.are.equal("notFound", err.code)
      assert.is_nil(err.layer)
      assert.is_nil(err.traceback)
      assert.are.equal("x", err.messageId)
      assert.are.equal("notFound", records[1].message)
      assert.are.same({message = err.message, id = "x"}, records[1].fields)
    end)

    it("lets an outer layer catch an error and answer in its place", function()
      use("outer", layer([[
        local good, result = pcall(next, op)
        return good and result or ctx:reply {deleted = false, segmentIds = {}, deletedSummaryIds = {}}]], [[{"delete"}]]))
      use("inner", layer([[next(op) error "no"]], [[{"delete"}]]))
      assert.is_false(store:delete({messageId = "m1"}).deleted)
      assert.are.same({"one"}, contents())
    end)

    it("fails where a layer neither called next nor returned a result", function()
      use("lazy", layer [[local unused = op.content]])
      local err = fails(add_op())
      assert.are.equal("middleware", err.code)
      assert.are.equal("lazy", err.layer)
      assert.is_truthy(err.message:find("neither called next nor returned", 1, true), err.message)
    end)

    it("fails where a layer swallowed the error of next and returned nothing", function()
      use("swallow", layer [[pcall(next, op)]])
      local err = fails(add_op {conversationId = "nowhere"})
      assert.are.equal("swallow", err.layer)
    end)

    -- ---- Who sees what ----

    it("gives a layer all writes but batch, unless it says otherwise", function()
      use("default", layer [[ctx:log("info", op.op) return next(op)]])
      for _, name in ipairs(holdfast.ops) do
        records[1] = nil
        support.seed(store)
        records = (function() while #records > 0 do table.remove(records) end return records end)()
        pcall(store.exec, store, support.sample(name))
        local expected = not reads[name] and "default: " .. (name == "batch" and "add" or name) or nil
        assert.are.equal(expected, said()[1], name)
      end
    end)

    it("gives a layer that names \"*\" every op, and one that names some, those", function()
      use("all", layer([[ctx:log("info", op.op) return next(op)]], [["*"]]))
      use("some", layer([[ctx:log("info", op.op) return next(op)]], [[{"get", "delete"}]]))
      use("one", layer([[ctx:log("info", op.op) return next(op)]], [["list"]]))
      store:get {messageId = "m1"}
      store:list {conversationId = "c1"}
      store:delete {messageId = "m1"}
      store:batch {ops = {}}
      assert.are.same({"all: get", "some: get", "all: list", "one: list", "all: delete", "some: delete", "all: batch"},
                      said())
    end)

    it("lets `on` stand in the place of handle and ops", function()
      use("on", [[return {on = {
        add = function(op, next, ctx) ctx:log("info", "adds") return next(op) end,
        get = function(op, next, ctx) ctx:log("info", "gets") return next(op) end,
      }}]])
      store:get {messageId = "m1"}
      store:exec(add_op())
      store:delete {messageId = "m1"}
      assert.are.same({"on: gets", "on: adds"}, said())
    end)

    it("gives a chunk its configuration as `...`, and calls the layer as its table says", function()
      local config = {words = {"a", "b"}, n = 1, none = holdfast.null}
      use("given", [[
        local config = ...
        return {name = "called", handle = function(op, next, ctx)
          ctx:log("info", config.words[2] .. config.n .. ctx.layer)
          return next(op)
        end}]], config)
      store:exec(add_op())
      assert.are.same({"called: b1called"}, said())
    end)

    it("refuses what is no middleware, and the chain stays as it was", function()
      use("good", layer [[ctx:log("info", "ran") return next(op)]])
      for source, part in pairs {
        ["return nil"] = "function or a table",
        ["return 7"] = "number",
        ["return {}"] = "handle",
        ["return {handle = 7}"] = "handle",
        ["return {handle = print, hande = 7}"] = "hande",
        ["return {handle = function() end, [1] = 7}"] = "number",
        ["return {handle = function() end, name = 7}"] = "name",
        ["return {handle = function() end, name = 'Not Kebab'}"] = "Not Kebab",
        ["return {handle = function() end, name = ''}"] = "name",
        ["return {handle = function() end, name = ('x'):rep(64)}"] = "63",
        ["return {handle = function() end, name = 'good'}"] = "already",
        ["return {handle = function() end, ops = {}}"] = "ops",
        ["return {handle = function() end, ops = 7}"] = "ops",
        ["return {handle = function() end, ops = {'ad'}}"] = '"add"',
        ["return {handle = function() end, ops = {7}}"] = "number",
        ["return {on = {add = function() end}, ops = {'add'}}"] = "on",
        ["return {on = {add = function() end}, handle = function() end}"] = "on",
        ["return {on = {}}"] = "on",
        ["return {on = {ad = function() end}}"] = '"add"',
        ["return {on = {add = 7}}"] = "on.add",
      } do
        local err = support.error_of(use, "bad", source)
        assert.are.equal("invalid", err.code, source)
        assert(err.message:find(part, 1, true), ("%s: %q is not in: %s"):format(source, part, err.message))
      end
      store:exec(add_op())
      assert.are.same({"good: ran"}, said())
    end)

    -- ---- What is compared with what is known, and not read ----

    it("stores and answers a content that a layer replaced by one as long", function()
      use("up", layer [[local result = next(op) result.message.content = "sealed" return result]])
      use("down", layer [[op.content = "hidden" local result = next(op) assert(result.message.content == "hidden")]])
      assert.are.equal("sealed", store:exec(add_op {content = "secret"}).message.content)
      assert.are.equal("hidden", contents()[#contents()])
    end)

    it("answers the content that was stored, whatever the op's table holds by then", function()
      use("keeps", layer [[
        local lower = {}
        for name, value in pairs(op) do lower[name] = value end
        lower.content = "hidden"
        local result = next(lower)
        assert(op.content == "secret" and result.message.content == "hidden")
        lower.content = "secret"
        return result]])
      assert.are.equal("hidden", store:exec(add_op {content = "secret"}).message.content)
    end)

    it("sees each change of an answer that a layer made in place", function()
      for _, case in ipairs {
        {"result.message.role = 'xser'", function(r) return r.message.role == "xser" end},
        {"result.message.metadata.a.b = 2", function(r) return r.message.metadata.a.b == 2 end},
        {"result.message.metadata.a.b = 1.0", function(r) return math.type(r.message.metadata.a.b) == "float" end},
        {"result.message.metadata.a = nil", function(r) return next(r.message.metadata) == nil end},
        {"result.message.metadata = nil", function(r) return r.message.metadata == nil end},
        {"result.message.createdAt = 7", function(r) return r.message.createdAt == 7 end},
        {"result.message.state = 'aborted'", function(r) return r.message.state == "aborted" end},
        {"result.message.clientMessageId = 'k'", function(r) return r.message.clientMessageId == "k" end},
        {"result.deduplicated = true", function(r) return r.deduplicated == true end},
      } do
        open()
        use("changes", layer("local result = next(op) " .. case[1]))
        local result = store:exec(add_op {metadata = {a = {b = 1}}})
        assert.is_true(case[2](result), case[1])
      end
      for _, case in ipairs {"result.message.extra = 1", "result.extra = 1", "result.message.id = nil"} do
        open()
        use("spoils", layer("local result = next(op) " .. case))
        assert.are.equal("badResult", fails(add_op()).code, case)
      end
    end)

    it("sees each change of a list that a layer made in place", function()
      use("narrows", layer([[op.states[2] = "aborted" next(op).messages[1].content = "xxxxx"]], [[{"list"}]]))
      use("batches", layer([[
        op.ops[2].content = "TWO"
        local result = next(op)
        result.results[1].message.content, result.results[3].message.state = "ONE", "aborted"]], [[{"batch"}]]))
      local ops = {}
      for i, content in ipairs {"one", "two", "six"} do ops[i] = add_op {content = content, conversationId = "c2"} end
      store:createConversation {conversationId = "c2"}
      local results = store:batch({ops = ops}).results
      assert.are.same({"ONE", "TWO", "six", "aborted"}, {results[1].message.content, results[2].message.content,
                                                         results[3].message.content, results[3].message.state})
      store:reserve {conversationId = "c2", role = "user", messageId = "r1"}
      local listed = store:list {conversationId = "c2", states = {"final", "reserved"}}.messages
      assert.are.same({3, "xxxxx", "TWO", "six"}, {#listed, listed[1].content, listed[2].content, listed[3].content})
    end)

    it("keeps nothing of tables that a layer holds on to and changes later", function()
      use("hoards", layer [[
        local old = ctx.state.old
        if old then old.op.content, old.result.message.content, old.result.message.metadata.a = "spoilt", "spoilt", 0 end
        local result = next(op)
        op.content = "spoilt"
        ctx.state.old = {op = op, result = result}
        ctx:afterCommit(function() result.message.content = "later" end)]])
      local first = store:exec(add_op {content = "first", metadata = {a = 1}})
      local second = store:exec(add_op {content = "second", metadata = {a = 1}})
      assert.are.same({"first", "second"}, {first.message.content, second.message.content})
      assert.are.same({1, 1}, {first.message.metadata.a, second.message.metadata.a})
      local found = contents()
      assert.are.same({"first", "second"}, {found[#found - 1], found[#found]})
    end)

    it("gives ctx to each handler that can see it", function()
      local bodies = {
        "return {handle = function(...) local op, next, ctx = ... ctx:log('info', ctx.layer) return next(op) end}",
        "return function(...) (select(3, ...)):log('info', 'x') return (select(2, ...))((...)) end",
        "return function(op, ...) local next, ctx = ... ctx:log('info', 'x') return next(op) end",
        "return function(op, next, ctx, more) assert(more == nil) ctx:log('info', 'x') return next(op) end",
        [[return {on = {add = function(op, next, ctx) ctx:log('info', 'x') return next(op) end,
                        get = function(op, next) return next(op) end}}]],
      }
      if form == "function" then -- one in C
        bodies[#bodies + 1] = [[return coroutine.wrap(function(op, next, ctx) ctx:log('info', 'x') return next(op) end)]]
      end
      for i, body in ipairs(bodies) do
        open()
        use("layer", body)
        store:exec(add_op())
        assert.are.equal(1, #records, i)
      end
    end)

    -- ---- next ----

    it("refuses a second next after a first that succeeded", function()
      use("twice", layer [[next(op) return next(op)]])
      local err = fails(add_op())
      assert.are.equal("middleware", err.code)
      assert.are.equal("twice", err.layer)
      assert.is_truthy(err.message:find("again", 1, true))
    end)

    it("refuses next after its layer has returned", function()
      use("outer", layer [[local result = next(op) ctx.shared.next(op) return result]])
      use("inner", layer [[ctx.shared.next = next return next(op)]])
      local err = fails(add_op())
      assert.are.equal("outer", err.layer)
      assert.is_truthy(err.message:find("next", 1, true))
    end)

    it("refuses the next of a layer whose call is not the one that runs", function()
      use("outer", layer [[ctx.shared.next = next return next(op)]])
      use("inner", layer [[return ctx.shared.next(op)]])
      local err = fails(add_op())
      assert.are.equal("inner", err.layer)
      assert.is_truthy(err.message:find("next", 1, true))
    end)

    it("refuses the next of an op from within an op that ctx:exec runs", function()
      use("outer", layer([[ctx.shared.next, ctx.shared.op = next, op return ctx:exec {op = "get", messageId = "m1"}
                           and next(op)]]))
      use("inner", layer([[if op.op == "get" then ctx.shared.next(ctx.shared.op) end return next(op)]], [["*"]]))
      local err = fails(add_op())
      assert.are.equal("inner", err.layer)
      assert.is_truthy(err.message:find("next", 1, true))
    end)

    it("refuses next and ctx:exec of a layer while its next runs, to the host's clock", function()
      local again, results = {}, {}
      local clocked = support.seed(support.open {now = function()
        for name, call in pairs(again) do
          again[name] = nil
          results[name] = table.pack(pcall(call))
        end
        return 1000
      end})
      local other = {op = "add", conversationId = "c1", role = "user", content = "other"}
      clocked:use {name = "passes", ops = {"add"}, handle = function(op, next, ctx)
        again.next = function() return next(other) end
        again.exec = function() return ctx:exec(other) end
        return next(op)
      end}
      local before = #clocked:list {conversationId = "c1"}.messages
      clocked:exec {op = "add", conversationId = "c1", role = "user", content = "one"}
      for _, name in ipairs {"next", "exec"} do
        assert.is_false(results[name][1])
        assert.is_truthy(results[name][2].message:find("while next runs", 1, true), results[name][2].message)
      end
      assert.are.equal(before + 1, #clocked:list {conversationId = "c1"}.messages)
    end)

    it("refuses next and ctx of an op that has ended", function()
      for _, call in ipairs {"state.next(op)", "state.ctx:exec(op)", "state.ctx:now()", "state.ctx:log('info', 'x')",
                             "state.ctx:uuid()", "state.ctx:reply {}", "state.ctx:reject('denied')",
                             "state.ctx:afterCommit(next)", "state.ctx.layer", "state.ctx.requestId"} do
        open()
        use("keeps", layer([[
          local state = ctx.state
          if state.ctx then local unused = ]] .. call .. [[ end
          state.next, state.ctx = next, ctx
          return next(op)]]))
        store:exec(add_op {content = "first"})
        local err = fails(add_op {content = "second"})
        assert.are.equal("middleware", err.code, call)
        assert.are.equal("keeps", err.layer, call)
        assert.is_truthy(err.message:find("ended", 1, true), err.message)
      end
    end)

    it("refuses next without an op", function()
      for _, argument in ipairs {"", "nil", "7", "'add'"} do
        open()
        use("bare", layer("return next(" .. argument .. ")"))
        assert.are.equal("bare", fails(add_op()).layer)
      end
    end)

    it("undoes a next that failed, and runs it again where the layer asks", function()
      use("retry", layer [[
        for _ = 1, 2 do
          local good, err = pcall(next, op)
          ctx:log("info", err.message)
        end
        return next(op)]])
      use("fragile", layer [[
        local result = next(op)
        local state = ctx.state
        state.count = (state.count or 0) + 1
        if state.count < 3 then error {code = "again", message = "try " .. state.count} end
        return result]])
      local result = store:exec(add_op {messageId = "x"})
      assert.is_nil(result.deduplicated)
      assert.are.same({"retry: try 1", "retry: try 2"}, said())
      assert.are.same({"one", "hello"}, contents())
    end)

    it("keeps what the layer itself wrote before a next that failed, unless the error goes on", function()
      use("careful", layer [[
        ctx:exec {op = "add", conversationId = "c1", role = "note", content = "before"}
        local good, err = pcall(next, op)
        if op.content == "go on" then error(err, 0) end
        return ctx:reply {message = ctx:exec({op = "get", messageId = "m1"}).message}]])
      use("writes", layer [[
        if op.role == "note" then return next(op) end
        ctx:exec {op = "add", conversationId = "c1", role = "note", content = "within"}
        next(op)
        error "no"]])
      assert.are.equal("one", store:exec(add_op()).message.content)
      assert.are.same({"one", "before"}, contents())
      fails(add_op {content = "go on"})
    end)

    -- ---- ctx:exec ----

    it("runs ctx:exec through the layers below only", function()
      for _, name in ipairs {"a", "b", "c"} do
        use(name, layer([[
          ctx:log("info", op.op)
          if ctx.layer == "b" and op.op == "add" then ctx:exec {op = "get", messageId = "m1"} end
          return next(op)]], [["*"]]))
      end
      store:exec(add_op())
      assert.are.same({"a: add", "b: add", "c: get", "c: add"}, said())
    end)

    it("runs ctx:exec in the op's transaction, before and after next", function()
      use("around", layer([[
        local id = ctx:exec({op = "add", conversationId = op.conversationId, role = "note", content = "before"}).message.id
        local result = next(op)
        assert(ctx:exec({op = "get", messageId = id}).message.content == "before")
        assert(ctx:exec({op = "get", messageId = result.message.id}).message.content == "hello")
        ctx:exec {op = "add", conversationId = op.conversationId, role = "note", content = "after"}
        if op.metadata then error "no" end]]))
      store:exec(add_op())
      assert.are.same({"one", "before", "hello", "after"}, contents())
      fails(add_op {metadata = {}})
    end)

    it("undoes a ctx:exec that failed, and nothing else", function()
      use("tries", layer [[
        local good, err = pcall(ctx.exec, ctx, {op = "batch", ops = {
          {op = "add", conversationId = "c1", role = "note", content = "lost"},
          {op = "update", messageId = "nothing", updates = {a = 1}},
        }})
        assert(not good and err.code == "notFound", tostring(err))
        return next(op)]])
      store:exec(add_op())
      assert.are.same({"one", "hello"}, contents())
    end)

    it("lets a read write through ctx:exec", function()
      use("marks", layer([[
        local result = next(op)
        ctx:exec {op = "update", messageId = op.messageId, updates = {read = true}}
        return result]], [[{"get"}]]))
      assert.is_nil(store:get({messageId = "m1"}).message.metadata)
      assert.are.same({read = true}, store:get({messageId = "m1"}).message.metadata)
    end)

    it("checks the op that ctx:exec is given, and names the layer", function()
      for op, part in pairs {["{}"] = '"op"', ["7"] = "number", ["{op = 'ad'}"] = '"add"', ["{op = 'get'}"] = "messageId",
                             ["{op = 'get', messageId = 'm1', x = 1}"] = '"x"', ["{op = 'get', messageId = ''}"] = "messageId"} do
        open()
        use("asks", layer("ctx:exec(" .. op .. ") return next(op)"))
        local err = fails(add_op())
        assert.is_truthy(err.code == "invalid" or err.code == "middleware", tostring(err))
        assert.are.equal("asks", err.layer)
        assert.is_truthy(err.message:find(part, 1, true), err.message)
      end
    end)

    it("nests ctx:exec eight deep and no deeper", function()
      for i = 1, 9 do
        use("l" .. i, layer([[return ctx:exec(op)]], [[{"get"}]]))
        if i < 9 then assert.are.equal("one", store:get({messageId = "m1"}).message.content) end
      end
      local err = fails {op = "get", messageId = "m1"}
      assert.are.equal("depth", err.code)
      assert.are.equal("l9", err.layer)
    end)

    -- ---- Redirection ----

    it("runs another op in the place of the one that came, for the lower layers that asked for its kind", function()
      use("soft", layer([[
        next {op = "update", messageId = op.messageId, updates = {gone = true}}
        return ctx:reply {deleted = true, segmentIds = {}, deletedSummaryIds = {}}]], [[{"delete"}]]))
      use("deletes", layer([[ctx:log("info", op.op) return next(op)]], [[{"delete"}]]))
      use("updates", layer([[ctx:log("info", op.op) return next(op)]], [[{"update"}]]))
      assert.is_true(store:delete({messageId = "m1"}).deleted)
      assert.are.same({"updates: update"}, said())
      assert.are.same({gone = true}, store:get({messageId = "m1"}).message.metadata)
    end)

    it("refuses the result of another kind than the op that the layer was given", function()
      use("misfit", layer([[return next {op = "update", messageId = op.messageId, updates = {gone = true}}]],
                          [[{"delete"}]]))
      local err = fails {op = "delete", messageId = "m1"}
      assert.are.equal("badResult", err.code)
      assert.are.equal("misfit", err.layer)
      assert.is_truthy(err.message:find('"update"', 1, true) and err.message:find('"delete"', 1, true), err.message)
    end)

    it("refuses to make a write of a read", function()
      use("sly", layer([[return next {op = "delete", messageId = op.messageId}]], [[{"get"}]]))
      local err = fails {op = "get", messageId = "m1"}
      assert.are.equal("invalid", err.code)
      assert.are.equal("sly", err.layer)
    end)

    it("lets a write become a read, and mints the id of an op that a layer made", function()
      use("asks", layer([[return ctx:reply {deleted = next({op = "get", messageId = op.messageId}).message ~= nil,
                          segmentIds = {}, deletedSummaryIds = {}}]], [[{"delete"}]]))
      use("adds", layer([[
        local id = next({op = "add", conversationId = "c1", role = "note", content = "made"}).message.id
        ctx:log("info", id)
        return ctx:reply {}]], [[{"update"}]]))
      assert.is_true(store:delete({messageId = "m1"}).deleted)
      store:update {messageId = "m1", updates = {}}
      assert.is_truthy(records[1].message:match(uuid7))
      assert.are.same({"one", "made"}, contents())
    end)

    it("checks the op that the host hands in before any layer sees it", function()
      use("watch", layer [[ctx:log("info", "ran") return next(op)]])
      local err = fails(add_op {contnet = "x"})
      assert.are.equal("invalid", err.code)
      assert.is_nil(err.layer)
      assert.are.same({}, said())
    end)

    it("checks the op again at the terminal, and the result where it leaves the chain: what was mended by then is good", function()
      use("outer", layer [[op.extra = 1 local result = next(op) result.extra = nil return result]])
      use("inner", layer [[op.extra = nil local result = next(op) result.extra = 1 return result]])
      assert.are.equal("hello", store:exec(add_op()).message.content)
    end)

    it("refuses an op that a layer spoilt", function()
      use("spoils", layer [[op.contnet = "x" return next(op)]])
      local err = fails(add_op())
      assert.are.equal("invalid", err.code)
      assert.are.equal("spoils", err.layer)
      assert.is_truthy(err.message:find("contnet", 1, true))
    end)

    it("refuses a result that does not fit, names the layer, and undoes the write", function()
      for change, part in pairs {
        ["return 7"] = "number",
        ["return 'done'"] = "string",
        ["return true"] = "boolean",
        ["return {}"] = '"op"',
        ["return {op = 'get'}"] = '"get"',
        ["result.message = nil"] = "message",
        ["result.message = 7"] = "message",
        ["result.mesage = {}"] = "mesage",
        ["result.message.id = nil"] = "id",
        ["result.message.id = ''"] = "id",
        ["result.message.content = 7"] = "content",
        ["result.message.content = '\\xff'"] = "content",
        ["result.message.state = 'ready'"] = "state",
        ["result.message.createdAt = 1.5"] = "createdAt",
        ["result.message.metadata = {1}"] = "metadata",
        ["result.message.metadata = {f = next}"] = "metadata",
        ["result.message.extra = 1"] = "extra",
        ["result.deduplicated = 'no'"] = "deduplicated",
        ["result[1] = 1"] = "number",
      } do
        open()
        use("misfit", layer("local result = next(op) " .. (change:find "^return" and change or change .. " return result")))
        local err = fails(add_op())
        assert.are.equal("badResult", err.code, change .. ": " .. tostring(err))
        assert.are.equal("misfit", err.layer, change)
        assert.is_truthy(err.message:find(part, 1, true), err.message)
      end
    end)

    it("refuses a misfit that an outer layer merely passes on", function()
      use("outer", layer [[return next(op)]])
      use("misfit", layer [[local result = next(op) result.message.id = nil return result]])
      assert.are.equal("badResult", fails(add_op()).code)
    end)

    -- ---- Batches ----

    local batch = {op = "batch", ops = {add_op {content = "x"}, add_op {content = "y"},
                                        {op = "delete", messageId = "m1"}}}

    it("sends each op of a batch through the whole chain, and the envelope to those that name it", function()
      use("outer", layer [[ctx:log("info", op.content or op.op) return next(op)]])
      use("batches", layer([[ctx:log("info", "of " .. #op.ops) return next(op)]], [[{"batch"}]]))
      use("inner", layer([[ctx:log("info", op.content or op.op) return next(op)]], [["*"]]))
      assert.are.equal(3, #store:exec(batch).results)
      assert.are.same({"batches: of 3", "inner: batch", "outer: x", "inner: x", "outer: y", "inner: y", "outer: delete",
                       "inner: delete"}, said())
    end)

    it("shows ops with their ids within the envelope, and lets a layer change them", function()
      use("batches", layer([[
        for _, inner in ipairs(op.ops) do
          if inner.op == "add" then
            assert(#inner.messageId == 36)
            inner.content = inner.content .. "!"
          end
        end
        table.remove(op.ops)
        table.insert(op.ops, {op = "add", conversationId = "c1", role = "user", content = "z"})
        return next(op)]], [[{"batch"}]]))
      store:exec(batch)
      assert.are.same({"one", "x!", "y!", "z"}, contents())
    end)

    it("undoes a whole batch where a layer fails for one of its ops", function()
      use("picky", layer [[local result = next(op) if op.content == "y" then error "no y" end return result]])
      local err = fails(batch)
      assert.are.equal("picky", err.layer)
      assert.are.equal("batch", err.op)
      assert.is_truthy(err.message:find("ops[1]", 1, true), err.message)
    end)

    it("refuses an answer to a batch with another number of results", function()
      use("short", layer([[local result = next(op) table.remove(result.results) return result]], [[{"batch"}]]))
      assert.are.equal("badResult", fails(batch).code)
    end)

    it("runs a batch that a layer hands to ctx:exec through the layers below only", function()
      use("a", layer [[ctx:log("info", op.content) return next(op)]])
      use("b", layer [[
        ctx:log("info", op.content)
        ctx:exec {op = "batch", ops = {{op = "add", conversationId = "c1", role = "note", content = "extra"}}}
        return next(op)]])
      use("c", layer [[ctx:log("info", op.content) return next(op)]])
      store:exec(add_op())
      assert.are.same({"a: hello", "b: hello", "c: extra", "c: hello"}, said())
    end)

    it("runs a batch that a layer puts in the place of an op through the layers below only", function()
      use("a", layer [[ctx:log("info", op.content) return next(op)]])
      use("b", layer [[
        ctx:log("info", op.content)
        local results = next({op = "batch", ops = {
          {op = "add", conversationId = "c1", role = "note", content = "extra"}, op}}).results
        return results[2] ]])
      use("c", layer [[ctx:log("info", op.content) return next(op)]])
      store:exec(add_op())
      assert.are.same({"a: hello", "b: hello", "c: extra", "c: hello"}, said())
      assert.are.same({"one", "extra", "hello"}, contents())
    end)

    -- ---- The context ----

    it("shows what the host said, and nothing where it said nothing", function()
      use("looks", layer [[
        ctx:log("info", "context", {request = ctx.requestId, conversation = ctx.conversationId, turn = ctx.turnIndex,
                                    trust = ctx.trust, tags = ctx.tags, none = ctx.nothing, layer = ctx.layer})
        return next(op)]])
      store:exec(add_op(), {requestId = "r1", conversationId = "c9", turnIndex = 3, trust = "user", tags = {"a", {b = 1}}})
      store:add({conversationId = "c1", role = "user", content = ""}, {requestId = "r2"})
      store:exec(add_op())
      store:exec(add_op(), {turnIndex = 0, tags = {"c"}})
      assert.are.same({request = "r1", conversation = "c9", turn = 3, trust = "user", tags = {"a", {b = 1}},
                       layer = "looks"}, records[1].fields)
      assert.are.same({request = "r2", layer = "looks"}, records[2].fields)
      assert.are.same({layer = "looks"}, records[3].fields)
      assert.are.same({turn = 0, tags = {"c"}, layer = "looks"}, records[4].fields)
    end)

    it("refuses a ctx and a next that were kept from a call that failed, during the op and after the commit", function()
      use("outer", layer [[
        local good = pcall(next, op)
        local kept = ctx.shared
        local during = {pcall(kept.ctx.exec, kept.ctx, {op = "createConversation", conversationId = "during"}),
                        pcall(kept.next, op)}
        ctx:log("info", "during", {good = good, exec = during[1], next = during[2]})
        ctx:afterCommit(function()
          local exec = pcall(kept.ctx.exec, kept.ctx, {op = "createConversation", conversationId = "after"})
          ctx:log("info", "after", {exec = exec, next = (pcall(kept.next, op))})
        end)
        ctx.shared.calm = true
        return next(op)]])
      use("inner", layer [[
        if ctx.shared.calm then return next(op) end
        ctx.shared.ctx, ctx.shared.next = ctx, next
        error("slip")]])
      store:exec(add_op())
      assert.are.same({good = false, exec = false, next = false}, records[1].fields)
      assert.are.same({exec = false, next = false}, records[2].fields)
      for _, id in ipairs {"during", "after"} do
        assert.is_nil(store:getConversation({conversationId = id}).conversation)
      end
    end)

    it("names the layer whose ctx:exec failed, and whose json was no JSON", function()
      use("asks", layer [[
        if op.content == "json" then require("holdfast").json.decode("{") end
        ctx:exec {op = "update", messageId = "nothing", updates = {}}
        return next(op)]])
      local err = support.error_of(store.add, store, {conversationId = "c1", role = "user", content = "x"})
      assert.are.same({"notFound", "asks"}, {err.code, err.layer})
      err = support.error_of(store.add, store, {conversationId = "c1", role = "user", content = "json"})
      assert.are.same({"middleware", "asks", "add"}, {err.code, err.layer, err.op})
    end)

    it("shows the context to every op of a batch and of ctx:exec", function()
      use("looks", layer([[
        ctx:log("info", op.op .. ctx.requestId)
        if op.op == "batch" then ctx:exec {op = "get", messageId = "m1"} end
        return next(op)]], [["*"]]))
      use("below", layer([[ctx:log("info", op.op .. ctx.requestId) return next(op)]], [["get"]]))
      store:exec({op = "batch", ops = {add_op()}}, {requestId = "-r1"})
      assert.are.same({"looks: batch-r1", "below: get-r1", "looks: add-r1"}, said())
    end)

    it("is read-only, and what one layer does to a table in it no other sees", function()
      use("writes", layer [[
        for _, name in ipairs {"requestId", "state", "shared", "exec", "new"} do
          local good, err = pcall(function() ctx[name] = 1 end)
          assert(not good and tostring(err):find "read%-only", tostring(err))
        end
        ctx.tags[1] = "changed"
        assert(ctx.tags[1] == "changed")
        assert(not pcall(setmetatable, ctx, {}) and type(getmetatable(ctx)) == "string")
        return next(op)]])
      use("looks", layer [[ctx:log("info", ctx.tags[1]) return next(op)]])
      store:exec(add_op(), {tags = {"a"}})
      assert.are.same({"looks: a"}, said())
    end)

    it("keeps ctx.state for each layer as long as the store is open", function()
      for _, name in ipairs {"a", "b"} do
        use(name, layer [[
          ctx.state.count = (ctx.state.count or 0) + (ctx.layer == "a" and 1 or 10)
          ctx:log("info", tostring(ctx.state.count))
          return next(op)]])
      end
      store:exec(add_op())
      store:exec(add_op())
      assert.are.same({"a: 1", "b: 10", "a: 2", "b: 20"}, said())
    end)

    it("keeps ctx.state of an op that failed: it is memory, not part of the transaction", function()
      use("counts", layer [[
        ctx.state.count = (ctx.state.count or 0) + 1
        if ctx.state.count == 1 then error "first" end
        ctx:log("info", tostring(ctx.state.count))
        return next(op)]])
      fails(add_op())
      store:exec(add_op())
      assert.are.same({"counts: 2"}, said())
    end)

    it("shares ctx.shared among the layers of one op, and no further", function()
      use("a", layer [[
        assert(ctx.shared.from_b == nil)
        ctx.shared.from_a = op.content
        local result = next(op)
        ctx:log("info", ctx.shared.from_b)
        return result]])
      use("b", layer [[ctx.shared.from_b = ctx.shared.from_a .. "!" return next(op)]])
      store:exec(add_op {content = "x"})
      store:exec(add_op {content = "y"})
      assert.are.same({"a: x!", "a: y!"}, said())
    end)

    it("has clock, ids and log", function()
      use("uses", layer [[
        ctx:log("debug", "now", {now = ctx:now(), kind = math.type(ctx:now())})
        ctx:log("warn", ctx:uuid())
        ctx:log("error", "bare")
        return next(op)]])
      store:exec(add_op())
      assert.are.equal("integer", records[1].fields.kind)
      assert.is_true(math.abs(records[1].fields.now / 1000 - os.time()) < 5)
      assert.are.equal("debug", records[1].level)
      assert.are.equal("warn", records[2].level)
      assert.is_truthy(records[2].message:match(uuid7))
      assert.are.equal("error", records[3].level)
      assert.is_nil(records[3].fields)
    end)

    it("refuses wrong arguments to its functions, and names the layer", function()
      for _, call in ipairs {"ctx:log('loud', 'x')", "ctx:log('info')", "ctx:log('info', 'x', 7)",
                             "ctx:log('info', 'x', {f = next})", "ctx:exec()", "ctx.exec(op)", "ctx.now()",
                             "ctx:reject('')", "ctx:reject(('x'):rep(64))", "ctx:reject({})", "ctx:reply(7)",
                             "ctx:afterCommit()", "ctx:afterCommit('x')", "ctx.now({})", "ctx:nothing()"} do
        open()
        use("wrong", layer(call .. " return next(op)"))
        local err = fails(add_op())
        assert.is_truthy(err.code == "middleware" or err.code == "invalid", call .. ": " .. tostring(err))
        assert.are.equal("wrong", err.layer, call)
      end
    end)

    it("has json, null and the rest of the stock library through require", function()
      use("requires", layer [[
        local holdfast = require "holdfast"
        assert(holdfast.json.encode({a = holdfast.null}) == '{"a":null}')
        assert(rawequal(holdfast.json.decode("[null]")[1], holdfast.null))
        assert(require "holdfast.middleware.redact".name == "redact")
        return next(op)]])
      store:exec(add_op())
    end)

    it("shows another handle nothing of an op before the commit, and all of it in afterCommit and to the host", function()
      local path, seen, other = support.path(), {}, nil
      local function count() return #other:list({conversationId = "c1"}).messages end
      store = support.seed(support.open({log = function(_, _, message) seen[#seen + 1] = message .. count() end}, path))
      other = support.open(nil, path)
      use("notes", layer [[
        ctx:exec {op = "add", conversationId = "c1", role = "note", content = "before"}
        ctx:afterCommit(function() ctx:log("info", "after ") end)
        next(op)
        ctx:log("info", "within ")]])
      store:exec(add_op())
      assert.are.equal(3, count())
      assert.are.same({"within 1", "after 3"}, seen)
    end)

    it("runs afterCommit functions in order, after the commit", function()
      use("outer", layer [[
        ctx:afterCommit(function() ctx:log("info", "first") end)
        local result = next(op)
        ctx:log("info", "returns")
        return result]])
      use("inner", layer [[
        ctx:afterCommit(function() ctx:log("info", "second") end)
        ctx:afterCommit(function() ctx:log("info", "third") end)
        return next(op)]])
      store:exec(add_op())
      assert.are.same({"outer: returns", "outer: first", "inner: second", "inner: third"}, said())
    end)

    it("runs no afterCommit function of an op that failed", function()
      use("later", layer [[ctx:afterCommit(function() ctx:log("info", "committed") end) return next(op)]])
      use("fails", layer [[next(op) error "no"]])
      fails(add_op())
      assert.are.same({}, said())
    end)

    it("runs no afterCommit function of a try that failed, in whichever state it was", function()
      use("tries", layer [[
        pcall(next, op)
        ctx.shared.calm = true
        return next(op)]])
      use("slips", layer [[
        if ctx.shared.calm then return ctx:reply {message = {id = "m", conversationId = "c1", role = "user", content = "",
                                                             createdAt = 1, state = "final"}} end
        next(op)
        error "slip"]])
      for _, own in ipairs {true, false} do
        local text = layer [[ctx:afterCommit(function() ctx:log("info", "committed") end) return next(op)]]
        if own == (form == "sandboxed") then
          store:useString("later-" .. tostring(own), text)
        else
          store:use(assert(load(text))(), "later-" .. tostring(own))
        end
      end
      store:exec(add_op())
      assert.are.same({}, said())
    end)

    it("sends an error of an afterCommit function to the log, changes nothing, and runs the others", function()
      use("later", layer [[
        ctx:afterCommit(function() error "too late" end)
        ctx:afterCommit(function() ctx:exec {op = "delete", messageId = op.messageId} end)
        ctx:afterCommit(function() ctx:log("info", "still") end)
        return next(op)]])
      assert.are.equal("hello", store:exec(add_op()).message.content)
      assert.are.equal(3, #records)
      assert.are.equal("error", records[1].level)
      assert.is_truthy(records[1].message:find("too late", 1, true))
      assert.are.equal("error", records[2].level)
      assert.are.equal("later: still", said()[3])
      assert.are.same({"one", "hello"}, contents())
    end)
  end)
end

describe("a chain of both kinds of layers", function()
  local store, seen

  before_each(function()
    seen = {}
    store = support.seed(support.open {log = function(_, layer_name, message)
      seen[#seen + 1] = layer_name .. ": " .. message
    end})
  end)
  after_each(support.clean)

  local source = [[return function(op, next, ctx)
    ctx:log("info", "down " .. op.content)
    op.content = op.content .. ctx.layer
    local result = next(op)
    ctx:log("info", "up " .. result.message.content)
    return result
  end]]

  it("keeps the order of registration", function()
    store:use(load(source)(), "a")
    store:useString("b", source)
    store:use(load(source)(), "c")
    store:useString("d", source)
    store:exec(add_op {content = ""})
    assert.are.same({"a: down ", "b: down a", "c: down ab", "d: down abc", "d: up abcd", "c: up abcd", "b: up abcd",
                     "a: up abcd"}, seen)
  end)

  it("brings an error through both states, with layer, code and message", function()
    local caught
    store:use(function(op, next)
      local good, err = pcall(next, op)
      caught = not good and err
      error(err, 0)
    end, "a")
    store:useString("b", [[return function(op, next) local good, err = pcall(next, op) error(err, 0) end]])
    store:use(function() error {code = "quota", message = "no"} end, "c")
    local err = support.error_of(store.exec, store, add_op())
    for _, found in ipairs {caught, err} do
      assert.are.equal("quota", found.code)
      assert.are.equal("no", found.message)
      assert.are.equal("c", found.layer)
      assert.are.equal("add", found.op)
    end
  end)

  it("undoes across both states", function()
    store:useString("a", [[return function(op, next) pcall(next, op) return next(op) end]])
    local first = true
    store:use(function(op, next, ctx)
      ctx:exec {op = "add", conversationId = "c1", role = "note", content = "note"}
      local result = next(op)
      if first then first = false error "again" end
      return result
    end, "b")
    store:exec(add_op())
    assert.are.equal(3, #store:list({conversationId = "c1"}).messages)
  end)

  it("names the layer whose result does not fit where it crosses from one state to the other", function()
    store:use(function(op, next) return next(op) end, "a")
    store:useString("b", [[return function(op, next) local result = next(op) result.message.id = 7 return result end]])
    local err = support.error_of(store.exec, store, add_op())
    assert.are.equal("badResult", err.code)
    assert.are.equal("b", err.layer)
  end)
end)

describe("a host's own layer", function()
  local store

  before_each(function() store = support.seed(support.open()) end)
  after_each(support.clean)

  local function inside(call)
    local found
    store:use(function(op, next)
      found = table.pack(pcall(call))
      return next(op)
    end, "within")
    assert.are.equal("hello", store:exec(add_op()).message.content)
    assert.is_false(found[1])
    return found[2]
  end

  it("may not call its own store but through ctx", function()
    assert.are.equal("misuse", inside(function() store:get {messageId = "m1"} end).code)
  end)

  it("may not change the chain that it is in", function()
    assert.are.equal("misuse", inside(function() store:use(function() end, "another") end).code)
  end)

  it("may not close its own store", function()
    assert.are.equal("misuse", inside(function() store:close() end).code)
    store:explain(add_op())
    assert.are.equal("one", store:get({messageId = "m1"}).message.content)
  end)

  it("may redirect to another store, whose own chain runs", function()
    local other = support.seed(support.open())
    other:use(function(op, next) op.content = op.content .. " there" return next(op) end, "other")
    store:use(function(op) return other:exec(op) end, "redirect")
    assert.are.equal("hello there", store:exec(add_op {messageId = "x"}).message.content)
    assert.is_nil(store:get({messageId = "x"}).message)
    assert.are.equal("hello there", other:get({messageId = "x"}).message.content)
  end)

  it("brings out the other store's error", function()
    local other = support.open()
    store:use(function(op) return other:exec(op) end, "redirect")
    assert.are.equal("notFound", support.error_of(store.exec, store, add_op()).code)
  end)

  it("may call next within a coroutine, whose errors and results come out of it", function()
    store:use(function(op, next)
      return coroutine.wrap(function() return next(op) end)()
    end, "co")
    store:use(function(op, next) return coroutine.wrap(next)(op) end, "co-below")
    assert.are.equal("hello", store:exec(add_op()).message.content)
    assert.are.equal("notFound", support.error_of(store.exec, store, add_op {conversationId = "no"}).code)
  end)

  it("may not call next from a coroutine that outlived it", function()
    local resume
    store:use(function(op, next, ctx)
      if resume then error(select(2, coroutine.resume(resume)), 0) end
      resume = coroutine.create(function() next(op) end)
      return ctx:reply {message = ctx:exec({op = "get", messageId = "m1"}).message}
    end, "co")
    store:exec(add_op())
    local err = support.error_of(store.exec, store, add_op())
    assert.are.equal("middleware", err.code)
    assert.are.equal("co", err.layer)
    assert.are.equal(1, #store:list({conversationId = "c1"}).messages)
  end)

  it("may not yield out of the chain", function()
    store:use(function(op, next) coroutine.yield() return next(op) end, "yields")
    local run = coroutine.wrap(function() return pcall(store.exec, store, add_op()) end)
    local good, err = run()
    assert.is_false(good)
    assert.are.equal("yields", err.layer)
    assert.are.equal(1, #store:list({conversationId = "c1"}).messages)
  end)

  it("runs where the store is used from within a coroutine", function()
    store:use(function(op, next) op.content = "rewritten" return next(op) end, "rewrites")
    local result = coroutine.wrap(function() return store:exec(add_op()) end)()
    assert.are.equal("rewritten", result.message.content)
  end)

  it("may change the host's own table while its op runs", function()
    local op = {op = "batch", ops = {}}
    for i = 1, 20 do op.ops[i] = add_op {content = ("content %d "):format(i):rep(10)} end
    store:use(function(inner, next)
      for i = 1, 20 do op.ops[i].content, op.ops[i].messageId = nil, nil end
      for i = 1, 200 do assert(("garbage %d "):format(i):rep(10)) end
      collectgarbage()
      return next(inner)
    end, "meddles")
    store:exec(op)
    for i, message in ipairs(store:list({conversationId = "c1", after = "m1"}).messages) do
      assert.are.equal(("content %d "):format(i):rep(10), message.content)
    end
  end)

  it("that the collector could have taken still runs", function()
    store:use((function() return function(op, next) op.content = "kept" return next(op) end end)(), "kept")
    collectgarbage()
    collectgarbage()
    assert.are.equal("kept", store:exec(add_op()).message.content)
  end)
end)
