-- The program as its users meet it: streams, exit statuses, and chat histories in and out.

local holdfast = require "holdfast"

local program = os.getenv "HOLDFAST_PROGRAM"
  or (os.getenv "HOLDFAST_BUILD_DIR" or "build/default") .. "/holdfast"

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
  return path
end

local function lines(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

-- Whether two decoded JSON values are the same: integers apart from floats, lists apart from objects.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  if getmetatable(a) ~= getmetatable(b) then return false end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  for key, value in pairs(a) do
    if b[key] == nil or not same(value, b[key]) then return false end
  end
  return true
end

local function assert_same_lines(expected, found)
  local want, got = lines(expected), lines(found)
  assert.equal(#want, #got)
  for i = 1, #want do
    local one, other = holdfast.json.decode(want[i]), holdfast.json.decode(got[i])
    assert.is_true(same(one, other), "line " .. i .. "\n  expected: " .. want[i] .. "\n  found:    " .. got[i])
  end
end

describe("holdfast", function()
  local folder, store

  before_each(function()
    local pipe <close> = assert(io.popen("mktemp -d"))
    folder = pipe:read "l"
    store = folder .. "/store.db"
  end)

  after_each(function() os.execute("rm -rf " .. quote(folder)) end)

  -- Runs the program; `input` is what it reads. Returns its status, standard output and standard error.
  local function run(arguments, input)
    write(folder .. "/in", input or "")
    local command = { quote(program) }
    for _, argument in ipairs(arguments) do command[#command + 1] = quote(argument) end
    for name, redirection in pairs { ["in"] = "<", out = ">", err = "2>" } do
      command[#command + 1] = redirection .. quote(folder .. "/" .. name)
    end
    local _, how, status = os.execute(table.concat(command, " "))
    assert.equal("exit", how)
    return status, read(folder .. "/out"), read(folder .. "/err")
  end

  local function run_ops(arguments, ops)
    local status, out, err = run({ "run", store, table.unpack(arguments) }, table.concat(ops, "\n") .. "\n")
    local results = {}
    for i, line in ipairs(lines(out)) do results[i] = holdfast.json.decode(line) end
    return status, results, err
  end

  local function import(text, ...)
    return run { "import", store, write(folder .. "/chat.jsonl", text), ... }
  end

  describe("on its command line", function()
    it("prints its version", function()
      local status, out = run { "version" }
      assert.equal(0, status)
      assert.equal("holdfast 0.1.0\n", out)
    end)

    it("explains itself and each command on standard output", function()
      local status, out = run { "--help" }
      assert.equal(0, status)
      for _, command in ipairs {
        "run", "explain", "ls", "show", "search", "tail", "recover", "import", "export", "doctor", "stats", "check", "spec",
      } do
        assert.truthy(out:find("\n  " .. command .. " ", 1, true))
        local command_status, help, err = run { command, "--help" }
        assert.equal(0, command_status)
        assert.truthy(help:find("usage: holdfast " .. command, 1, true))
        assert.equal("", err)
      end
    end)

    for what, arguments in pairs {
      ["no command"] = {},
      ["an unknown command"] = { "frobnicate" },
      ["no store"] = { "ls" },
      ["an unknown option"] = { "ls", "x.db", "--frob" },
      ["another command's option"] = { "ls", "x.db", "--atomic" },
      ["an option without its value"] = { "run", "x.db", "--use" },
      ["a bad value"] = { "run", "x.db", "--durability", "some" },
      ["too many arguments"] = { "ls", "x.db", "y.db" },
      ["too few arguments"] = { "import", "x.db" },
      ["an input that is not there"] = { "run", "/nonexistent/x.db", "/nonexistent/ops.jsonl" },
    } do
      it("refuses " .. what .. " with status 2", function()
        local status, out, err = run(arguments)
        assert.equal(2, status)
        assert.equal("", out)
        assert.truthy(err:find("^holdfast: "))
      end)
    end

    it("makes no store to read from", function()
      for _, arguments in ipairs { { "ls", store }, { "show", store, "c1" }, { "export", store } } do
        local status, out, err = run(arguments)
        assert.equal(3, status)
        assert.equal("", out)
        assert.truthy(err:find("there is no such store", 1, true))
        assert.is_nil(io.open(store))
      end
    end)

    it("refuses what is no store, and a layer that does not load, with status 3", function()
      assert.equal(3, (run { "ls", write(folder .. "/text", ("no store at all\n"):rep(100)) }))
      local status, _, err = run { "run", store, "--use", write(folder .. "/bad.lua", "return 5 +") }
      assert.equal(3, status)
      assert.truthy(err:find("bad.lua", 1, true))
    end)

    it("makes no store of an empty file to read from", function()
      write(store, "")
      for _, arguments in ipairs { { "ls", store }, { "show", store, "c1" }, { "export", store } } do
        local status, out, err = run(arguments)
        assert.equal(3, status)
        assert.equal("", out)
        assert.equal("holdfast: " .. store .. ": there is no store in it, the file is empty\n", err)
        assert.equal("", read(store))
      end
    end)

    it("says once where something is wrong", function()
      local text = write(folder .. "/text", ("no store at all\n"):rep(100))
      assert.equal("holdfast: " .. text .. ": not an SQLite database\n", (select(3, run { "ls", text })))
      assert.equal("holdfast: --use /none.lua: No such file or directory\n",
        (select(3, run { "run", store, "--use", "/none.lua" })))
    end)

    it("says that a layer's configuration must be an object", function()
      for _, config in ipairs { "[]", '"x"' } do
        local status, _, err = run { "run", store, "--use", "redact=" .. config }
        assert.equal(3, status)
        assert.truthy(err:find("--use redact: configuration: expected an object, found ", 1, true), err)
      end
    end)

    it("says where a bad name of a layer comes from", function()
      local layer = write(folder .. "/My Layer.lua", "return function(op, next) return next(op) end")
      local _, _, err = run { "run", store, "--use", layer }
      assert.truthy(err:find('layer name "My Layer"', 1, true), err)
      assert.truthy(err:find("the file's name", 1, true), err)
    end)

    it("shows what a host with wider bounds has stored", function()
      local opened <close> = holdfast.open(store, { maxDepth = 500 })
      opened:createConversation { conversationId = "c1" }
      local deep = ("["):rep(400) .. ("]"):rep(400)
      opened:add { conversationId = "c1", role = "user", content = "x", metadata = { deep = holdfast.json.decode(deep) } }
      for _, arguments in ipairs { { "show", store, "c1", "--json" }, { "export", store } } do
        local status, out, err = run(arguments)
        assert.equal("", err)
        assert.equal(0, status)
        assert.equal(1, #lines(out))
      end
    end)

    it("waits for pipes that do not block", function()
      run_ops({}, { '{"op":"createConversation","conversationId":"c1"}',
        '{"op":"add","conversationId":"c1","role":"user","content":"' .. ("x"):rep(400000) .. '"}' })
      local command = "{ dd oflag=nonblock count=0 </dev/null 2>/dev/null; %s export %s; echo $? >%s; } "
        .. "| { sleep 0.2; cat >%s; }"
      os.execute(command:format(quote(program), quote(store), quote(folder .. "/status"), quote(folder .. "/out")))
      assert.equal("0\n", read(folder .. "/status"))
      assert.equal((select(2, run { "export", store })), read(folder .. "/out"))
      command = "{ echo '%s'; sleep 0.2; echo '%s'; } | { dd iflag=nonblock count=0 2>/dev/null; %s run %s >%s; }"
      os.execute(command:format('{"op":"get","messageId":"1"}', '{"op":"get","messageId":"2"}', quote(program),
        quote(store), quote(folder .. "/out")))
      assert.equal('{"op":"get"}\n{"op":"get"}\n', read(folder .. "/out"))
    end)

    it("ends quietly with 1 where nobody reads on", function()
      local script = "{ %s export %s; echo $? >%s; } 2>%s | true"
      run_ops({}, { '{"op":"createConversation","conversationId":"c1"}',
        '{"op":"add","conversationId":"c1","role":"user","content":"' .. ("x"):rep(400000) .. '"}' })
      os.execute(script:format(quote(program), quote(store), quote(folder .. "/status"), quote(folder .. "/err")))
      assert.equal("1\n", read(folder .. "/status"))
      assert.equal("", read(folder .. "/err"))
    end)

    it("reports a full disk", function()
      run_ops({}, { '{"op":"createConversation","conversationId":"c1"}' })
      assert.equal(1, (select(3, os.execute(("%s ls %s >/dev/full 2>/dev/null"):format(quote(program), quote(store))))))
    end)
  end)

  describe("run", function()
    local create = '{"op":"createConversation","conversationId":"c1","title":"One"}'
    local function add(id, content)
      return ('{"op":"add","conversationId":"c1","messageId":"%s","role":"user","content":"%s"}'):format(id, content)
    end

    it("answers each op with one line", function()
      local status, results = run_ops({}, { create, add("m1", "hello"), '{"op":"get","messageId":"m1"}' })
      assert.equal(0, status)
      assert.equal(3, #results)
      assert.equal("One", results[1].conversation.title)
      assert.equal("hello", results[3].message.content)
    end)

    it("goes on after a line that failed, and says which it was", function()
      local status, results = run_ops({}, { create, "", "nonsense", '{"op":"ad"}', "  ", add("m1", "hello") })
      assert.equal(1, status)
      assert.equal(4, #results)
      assert.equal(3, results[2].line)
      assert.equal(holdfast.null, results[2].op)
      assert.equal("invalid", results[2].error.code)
      assert.equal(4, results[3].line)
      assert.equal("ad", results[3].op)
      assert.truthy(results[3].error.message:find('"add"', 1, true))
      assert.equal("hello", results[4].message.content)
    end)

    it("passes over a byte order mark, and takes one object a line only", function()
      local status, results = run_ops({}, { "\u{FEFF}" .. create, "[" .. create .. "]", "{", " [", create })
      assert.equal(1, status)
      assert.equal("One", results[1].conversation.title)
      for i = 2, 4 do
        assert.equal(i, results[i].line)
        assert.truthy(results[i].error.message:find("expected one JSON object a line", 1, true))
      end
      assert.equal("One", results[5].conversation.title)
    end)

    it("reads files in order, and names the file of a failure where there are several", function()
      local one, two = write(folder .. "/1", create .. "\n"), write(folder .. "/2", "\n{}")
      local status, out = run { "run", store, one, two }
      assert.equal(1, status)
      local failed = holdfast.json.decode(lines(out)[2])
      assert.equal(two, failed.file)
      assert.equal(2, failed.line)
    end)

    it("answers before it reads on", function()
      local script = write(folder .. "/drive.sh", [[
        cd "$2" && mkfifo in.pipe out.pipe && ("$1" run store.db <in.pipe >out.pipe &)
        exec 3>in.pipe 4<out.pipe
        for i in 1 2 3; do
          echo '{"op":"createConversation","conversationId":"c'$i'"}' >&3 && read -r answer <&4 && echo "$answer"
        done
      ]])
      local pipe <close> = assert(io.popen(("timeout 20 bash %s $(realpath %s) %s"):format(quote(script),
        quote(program), quote(folder))))
      for i = 1, 3 do
        assert.equal("c" .. i, holdfast.json.decode(pipe:read "l" or "null").conversation.id)
      end
    end)

    it("puts ops through the layers, whose records go to standard error", function()
      local layer = write(folder .. "/shout.lua", [[
        local config = ...
        return function(op, next, ctx)
          if op.op == "add" then op.content = op.content:upper() .. config.mark end
          ctx:log("info", "seen", {n = 1})
          return next(op)
        end
      ]])
      local status, results, err = run_ops({ "--use", layer .. '={"mark":"!"}' }, { create, add("m1", "hello") })
      assert.equal(0, status)
      assert.equal("HELLO!", results[2].message.content)
      local records = lines(err)
      assert.equal(2, #records)
      local record = holdfast.json.decode(records[1])
      assert.equal("info", record.level)
      assert.equal("shout", record.layer)
      assert.equal("seen", record.message)
      assert.equal(1, record.fields.n)
    end)

    it("names the layer that refused an op", function()
      local layer = write(folder .. "/no.lua", 'return function(_, _, ctx) ctx:reject("denied", "not today") end')
      local status, results = run_ops({ "--use", layer }, { create })
      assert.equal(1, status)
      assert.equal("denied", results[1].error.code)
      assert.equal("not today", results[1].error.message)
      assert.equal("no", results[1].error.layer)
    end)

    describe("--atomic", function()
      local function stored() return #lines((select(2, run { "show", store, "c1", "--json" }))) end

      it("answers each line of a batch", function()
        local status, results = run_ops({ "--atomic" }, { create, "", add("m1", "a"), add("m2", "b") })
        assert.equal(0, status)
        assert.equal(3, #results)
        assert.equal("createConversation", results[1].op)
        assert.equal("m2", results[3].message.id)
        assert.equal(2, stored())
      end)

      it("stores nothing where one op fails, and says which", function()
        run_ops({}, { create })
        for _, bad in ipairs {
          '{"op":"add","conversationId":"nowhere","role":"user","content":"x"}',
          '{"op":"add","conversationId":"c1","role":"user","contents":"x"}',
          '{"op":"get","messageId":"m1"}',
          '{"op":"update","messageId":"m1","updates":{}},{"op":"delete","messageId":"m1"}',
          "nonsense",
        } do
          local status, results, err = run_ops({ "--atomic" }, { add("m1", "a"), "", bad, add("m2", "b") })
          assert.equal(1, status)
          assert.equal(1, #results)
          assert.equal(3, results[1].line)
          assert.is_string(results[1].error.code)
          assert.is_nil(results[1].error.message:find "^ops")
          assert.truthy(err:find("nothing was stored", 1, true))
          assert.equal(0, stored())
        end
      end)

      it("has nothing to do with no ops", function()
        local status, results = run_ops({ "--atomic" }, { "" })
        assert.equal(0, status)
        assert.equal(0, #results)
      end)
    end)
  end)

  describe("import and export", function()
    -- Every line must come back as the same JSON value, and byte for byte where it is compact.
    local edge_cases = {
      '{"id":"plain","title":"Plain","messages":[{"role":"user","content":"hello"},{"role":"assistant","content":""}]}',
      '{"id":"no title","messages":[{"role":"user","content":"x"}]}',
      '{"id":"null title","title":null,"messages":[]}',
      '{"id":"empty","title":"","messages":[]}',
      '{"id":"tools","title":"T","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":'
        .. '"function","function":{"name":"f","arguments":"{\\"q\\": 1}"}}]},{"role":"tool","tool_call_id":"t1",'
        .. '"content":"[]"},{"role":"assistant","tool_calls":[]},{"content":"late role","role":"user"}]}',
      '{"id":"types","title":"T","messages":[{"role":"user","content":[{"type":"text","text":"a\\nb"},'
        .. '{"type":"image","n":1.10}]},{"role":"user","content":{}},'
        .. '{"role":"user","content":[]},{"role":"user","content":5},'
        .. '{"role":"user","content":false},{"role":"user","content":"null"},{"role":"user","content":"[]"},'
        .. '{"role":"user","content":"{\\"a\\": 1}"},{"role":"user","content":"5"}]}',
      '{"id":"numbers","title":"N","messages":[{"role":"user","content":"x","n":9007199254740993,'
        .. '"m":-9223372036854775808,'
        .. '"f":1.10,"g":1e3,"h":-0.0,"l":[1,[],{}],"e":{},"z":null,"b":true}],"model":"m","temperature":0.70}',
      '{"model":"first","id":"über/日本","title":"🙂 \\"q\\" \\\\",'
        .. '"messages":[{"name":"Zoë","role":"user","content":"é\\u0001🙂"}]}',
      '{"id":"clashes","title":"C","messages":[{"role":"user","content":"x","chat":{"content":"null"},'
        .. '"metadata":{"chat":1},'
        .. '"id":"own","state":"y","contentType":"null"}],"metadata":[1]}',
      '{"id":"' .. ("é"):rep(64) .. '","title":"Long id","messages":[{"role":"user","content":"a"},'
        .. '{"role":"user","content":"b"}]}',
    }
    local edge = table.concat(edge_cases, "\n") .. "\n"

    it("gives back the same lines, in order", function()
      local status, out, err = import(edge)
      assert.equal(0, status)
      assert.equal("", out)
      assert.equal("holdfast: imported 10 conversations, 21 messages\n", err)
      local export_status, exported = run { "export", store }
      assert.equal(0, export_status)
      assert_same_lines(edge, exported)
      assert.same(edge_cases, lines(exported))
    end)

    it("gives back the values of JSON with white space", function()
      local text = '\t{ "id" : "w", "messages" : [ { "role" : "user", "content" : '
        .. '[ 1.50 , { } ],\t"x" : { "a" : 1 } } ] } \r\n'
      assert.equal(0, (import(text)))
      assert_same_lines(text, (select(2, run { "export", store })))
    end)

    it("stores messages with ids that follow from their places", function()
      import(edge)
      local shown = lines((select(2, run { "show", store, "tools", "--json" })))
      assert.equal("tools:0001", holdfast.json.decode(shown[1]).id)
      assert.equal("[]", holdfast.json.decode(shown[1]).content)
      assert.equal("t1", holdfast.json.decode(shown[2]).metadata.chat.tool_call_id)
      assert.equal("tools:0004", holdfast.json.decode(shown[4]).id)
    end)

    it("adds nothing the second time, and says so", function()
      import(edge)
      local _, before = run { "export", store }
      local status, _, err = import(edge)
      assert.equal(0, status)
      assert.equal(
        "holdfast: imported 0 conversations, 0 messages; already there: 10 conversations, 21 messages\n", err)
      assert.equal(before, (select(2, run { "export", store })))
    end)

    it("adds the messages that a dialog gained", function()
      import '{"id":"d","title":"D","messages":[{"role":"user","content":"a"}]}\n'
      local longer = '{"id":"d","title":"D","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}\n'
      local status, _, err = import(longer)
      assert.equal(0, status)
      assert.equal("holdfast: imported 0 conversations, 1 message; already there: 1 conversation, 1 message\n", err)
      assert_same_lines(longer, (select(2, run { "export", store })))
    end)

    it("leaves a dialog as it is that differs from what is stored, and goes on", function()
      local stored = '{"id":"d","title":"D","messages":[{"role":"user","content":"a"}]}\n'
      import(stored)
      for part, changed in pairs {
        ["message 1: content"] = '{"id":"d","title":"D","messages":[{"role":"user","content":"X"},'
          .. '{"role":"user","content":"b"}]}',
        ["message 1: role"] = '{"id":"d","title":"D","messages":[{"role":"tool","content":"a"}]}',
        ['message 1: the key "n"'] = '{"id":"d","title":"D","messages":[{"role":"user","content":"a","n":1}]}',
        ["the title"] = '{"id":"d","title":"E","messages":[]}',
        ['the key "n" of the dialog'] = '{"id":"d","title":"D","messages":[],"n":1}',
      } do
        local status, _, err = import(changed .. '\n{"id":"after","messages":[]}\n')
        assert.equal(1, status)
        assert.truthy(err:find("chat.jsonl:1: dialog \"d\": ", 1, true), err)
        assert.truthy(err:find(part, 1, true), err)
        assert.truthy(err:find("not imported: 1 line", 1, true), err)
        local exported = lines((select(2, run { "export", store })))
        assert.equal(stored, exported[1] .. "\n")
        assert.equal(2, #exported)
      end
    end)

    it("does not take what a host added for a difference", function()
      local text = '{"id":"d","title":"D","messages":[{"role":"user","content":"a","n":1}]}\n'
      import(text)
      run_ops({}, {
        '{"op":"update","messageId":"d:0001","updates":{"seen":true}}',
        '{"op":"updateConversation","conversationId":"d","updates":{"tag":"x"}}',
        '{"op":"add","conversationId":"d","role":"user","content":"more"}',
      })
      assert.equal(0, (import(text)))
    end)

    it("stores what the layers make of a message, and does not call that a difference", function()
      local layer = write(folder .. "/mask.lua",
        [[return {ops = {"add"}, handle = function(op, next)
          op.content = op.content:gsub("%d", "#")
          return next(op)
        end}]])
      local text = '{"id":"d","title":"D","messages":[{"role":"user","content":"pin 1234","n":1}]}\n'
      assert.equal(0, (import(text, "--use", layer)))
      assert_same_lines((text:gsub("1234", "####")), (select(2, run { "export", store })))
      local status, _, err = import(text, "--use", layer)
      assert.equal(0, status)
      assert.truthy(err:find("already there: 1 conversation, 1 message", 1, true))
    end)

    it("keeps a dialog whole or leaves it out, and names the line", function()
      local text = table.concat({
        '{"id":"a","messages":[{"role":"user","content":"x"},{"role":"","content":"y"}]}',
        '{"id":"b","messages":[{"role":"user","content":"x"},{"content":"y"}]}',
        '{"title":"no id","messages":[]}',
        '{"id":"c"}',
        '{"id":"d","title":5,"messages":[]}',
        '{"id":"e","messages":[{"role":"user","content":"x","n":18446744073709551616}]}',
        '{"id":"f","f":1,"f":2,"messages":[]}',
        '{"id":"bad\\u0007id","messages":[]}',
        "[]",
        "nonsense",
        "",
        '{"id":"good","messages":[]}',
      }, "\n")
      local status, _, err = import(text)
      assert.equal(1, status)
      for i, part in ipairs {
        'dialog "a": message 2: ', 'dialog "b": message 2: field "role" is missing', 'field "id" is missing',
        'field "messages" is missing', 'field "title": expected text, found a number', "18446744073709551616", '"f"',
        "conversationId", "expected one JSON object a line, found a list", "JSON",
      } do
        local line = lines(err)[i]
        assert.truthy(line:find("chat.jsonl:" .. i .. ": ", 1, true), line)
        assert.truthy(line:find(part, 1, true), line)
      end
      assert.truthy(err:find("imported 1 conversation, 0 messages; not imported: 10 lines", 1, true))
      assert.equal('{"id":"good","messages":[]}\n', (select(2, run { "export", store })))
    end)

    it("takes a dialog longer than a batch", function()
      local messages = {}
      for i = 1, 10050 do messages[i] = ('{"role":"user","content":"%d"}'):format(i) end
      local text = '{"id":"long","title":"L","messages":[' .. table.concat(messages, ",") .. "]}\n"
      local status, _, err = import(text, "--durability", "normal")
      assert.equal(0, status)
      assert.truthy(err:find("imported 1 conversation, 10050 messages", 1, true))
      assert.equal(text, (select(2, run { "export", store })))
    end)

    it("keeps such a dialog whole or leaves it out, too", function()
      local messages = {}
      for i = 1, 10050 do messages[i] = ('{"role":"%s","content":"%d"}'):format(i == 10040 and "" or "user", i) end
      local status, _, err = import('{"id":"long","messages":[' .. table.concat(messages, ",") .. "]}\n")
      assert.equal(1, status)
      assert.truthy(err:find('dialog "long": message 10040: ', 1, true), err)
      assert.truthy(err:find("imported 0 conversations, 0 messages; not imported: 1 line", 1, true), err)
      assert.equal("", (select(2, run { "export", store })))
    end)

    -- A dialog of that many messages.
    local function dialog(count)
      local messages = {}
      for i = 1, count do messages[i] = ('{"role":"user","content":"%d"}'):format(i) end
      return '{"id":"d","messages":[' .. table.concat(messages, ",") .. "]}\n"
    end

    local pass = "return function(op, next) return next(op) end"

    for what, layered in pairs { ["without layers"] = false, ["with layers"] = true } do
      it("does not put a message that was deleted behind those that followed it, " .. what, function()
        local arguments = layered and { "--use", write(folder .. "/pass.lua", pass) } or {}
        import(dialog(3))
        run_ops({}, { '{"op":"delete","messageId":"d:0002"}' })
        local _, before = run { "export", store }
        local status, _, err = import(dialog(4), table.unpack(arguments))
        assert.equal(1, status)
        assert.truthy(err:find('dialog "d": message 3: message 2 is gone, and this one is there', 1, true), err)
        assert.equal(before, (select(2, run { "export", store })))
        run_ops({}, { '{"op":"delete","messageId":"d:0003"}' })
        assert.equal(0, (import(dialog(4), table.unpack(arguments))))
        assert.equal(dialog(4), (select(2, run { "export", store })))
      end)

      it("leaves a stored dialog alone that goes on, " .. what, function()
        local arguments = layered and { "--use", write(folder .. "/pass.lua", pass) } or {}
        import(dialog(3))
        for count = 0, 2 do
          local status, _, err = import(dialog(count), table.unpack(arguments))
          assert.equal(1, status)
          assert.truthy(err:find(('what is stored goes on beyond message %d'):format(count), 1, true), err)
        end
        assert.equal(dialog(3), (select(2, run { "export", store })))
      end)
    end

    it("does not merge two dialogs with one id", function()
      local status, _, err = import(dialog(1) .. dialog(2))
      assert.equal(1, status)
      assert.truthy(err:find('chat.jsonl:2: dialog "d": ', 1, true), err)
      assert.truthy(err:find("an earlier line of this run has that id", 1, true), err)
      assert.equal(dialog(1), (select(2, run { "export", store })))
    end)

    it("passes over a byte order mark", function()
      assert.equal(0, (import("\u{FEFF}" .. dialog(1))))
    end)

    -- Exports through a layer for reads.
    local function export_through(layer)
      return run { "export", store, "--use", write(folder .. "/layer.lua", layer) }
    end

    it("leaves out a conversation that is deleted meanwhile, and goes on", function()
      import '{"id":"a","messages":[]}\n{"id":"b","messages":[]}\n{"id":"c","messages":[]}\n'
      local status, out, err = export_through [[return {ops = {"list"}, handle = function(op, next, ctx)
        if op.conversationId == "a" then ctx:exec {op = "deleteConversation", conversationId = "b"} end
        return next(op)
      end}]]
      assert.equal("", err)
      assert.equal(0, status)
      assert.equal('{"id":"a","messages":[]}\n{"id":"c","messages":[]}\n', out)
    end)

    it("goes on from another row where the one that ended a page is deleted", function()
      import(dialog(8))
      local status, out, err = export_through [[local first = true
        return {ops = {"list"}, handle = function(op, next, ctx)
          op.limit = 3
          local result = next(op)
          if first then ctx:exec {op = "delete", messageId = result.messages[1].id} end
          first = false
          return result
        end}]]
      assert.equal("", err)
      assert.equal(0, status)
      assert.equal(dialog(8), out) -- with the one that had been read before it was deleted
    end)

    it("goes on from another conversation where the one that ended a page is deleted", function()
      local text = {}
      for i = 1, 8 do text[i] = ('{"id":"%d","messages":[]}\n'):format(i) end
      import(table.concat(text))
      local status, out, err = export_through [[local first = true
        return {ops = {"listConversations"}, handle = function(op, next, ctx)
          op.limit = 3
          local result = next(op)
          if first then
            ctx:exec {op = "deleteConversation", conversationId = "6"}
            ctx:exec {op = "deleteConversation", conversationId = "7"}
          end
          first = false
          return result
        end}]]
      assert.equal("", err)
      assert.equal(0, status)
      -- They had been listed before they were deleted, and are gone when their messages are asked for.
      assert.equal(table.concat(text):gsub('{"id":"[67]","messages":%[%]}\n', ""), out)
    end)

    it("exports conversations that were not imported", function()
      run_ops({}, {
        '{"op":"createConversation","conversationId":"c1"}',
        '{"op":"add","conversationId":"c1","role":"user","content":"[{\\"type\\":\\"text\\",\\"text\\":\\"t\\"}]",'
          .. '"metadata":{"chat":"not ours","n":1}}',
        '{"op":"add","conversationId":"c1","role":"user","content":"x",'
          .. '"metadata":{"chat":{"content":"list","own":[1]}}}',
      })
      local _, out = run { "export", store }
      assert.equal('{"id":"c1","messages":[{"role":"user","content":"[{\\"type\\":\\"text\\",\\"text\\":\\"t\\"}]"},'
        .. '{"content":"x","own":[1],"role":"user"}]}\n', out)
    end)

    it("exports content as text once it is no longer what was imported", function()
      import '{"id":"d","messages":[{"role":"assistant","content":null},{"role":"user","content":[1]}]}\n'
      run_ops({}, {
        '{"op":"updateContent","messageId":"d:0001","content":"now text"}',
        '{"op":"updateContent","messageId":"d:0002","content":"[1"}',
        '{"op":"updateConversation","conversationId":"d","title":"Later"}',
      })
      assert.equal('{"id":"d","messages":[{"role":"assistant","content":"now text"},{"role":"user","content":"[1"}],'
        .. '"title":"Later"}\n', (select(2, run { "export", store })))
    end)

    local real = "../shared/data/taskmaster4.chat.jsonl"
    local there = io.open(real)
    if there then
      there:close()
      it("brings 500 real dialogs through layers and back", function()
        local first = { "import", store, real, "--durability", "normal", "--use", "redact", "--use", "audit" }
        local status, _, err = run(first)
        assert.equal(0, status)
        assert.truthy(err:find("imported 500 conversations, 4887 messages\n", 1, true))
        local _, exported = run { "export", store }
        assert_same_lines(read(real), exported)
        status, _, err = run { "import", store, real }
        assert.equal(0, status)
        assert.truthy(err:find("imported 0 conversations, 0 messages; already there: 500 ", 1, true))
        assert.equal(exported, (select(2, run { "export", store })))
      end)
    end
  end)

  describe("ls and show", function()
    local chat = '{"id":"c1","title":"Tab\\there","messages":[{"role":"user","content":"one\\ntwo\\u001b[2J\\u009b"},'
      .. '{"role":"assistant","content":[{"type":"text","text":"see:"},{"type":"tool_use","name":"f"}],"n":1.50}]}\n'

    it("lists conversations, newest activity first", function()
      import(chat .. '{"id":"c2","messages":[]}\n')
      local status, out = run { "ls", store }
      assert.equal(0, status)
      local time = "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ"
      assert.truthy(out:find("^c2\t" .. time .. "\t\nc1\t" .. time .. "\tTab\\u0009here\tunseen\n$"))
      local _, json = run { "ls", store, "--json" }
      assert.equal("c2", holdfast.json.decode(lines(json)[1]).id)
      assert.equal("Tab\there", holdfast.json.decode(lines(json)[2]).title)
    end)

    it("shows a conversation to people, with control characters escaped", function()
      import(chat)
      local status, out = run { "show", store, "c1" }
      assert.equal(0, status)
      out = out:gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", "TIME")
      assert.equal("Tab\\u0009here  c1\n\nuser  TIME\n  one\n  two\\u001b[2J\\u009b\n\nassistant  TIME\n  see:\n"
        .. '  {"type":"tool_use","name":"f"}\n  n: 1.50\n', out)
    end)

    it("shows the state of a message that is not final", function()
      run_ops({}, {
        '{"op":"createConversation","conversationId":"c1"}',
        '{"op":"reserve","conversationId":"c1","role":"assistant"}',
      })
      assert.truthy((select(2, run { "show", store, "c1" })):find("assistant  %S+  interrupted\n$"))
    end)

    it("shows all messages of a long conversation, oldest first", function()
      local messages = {}
      for i = 1, 2500 do messages[i] = ('{"role":"user","content":"%d"}'):format(i) end
      import('{"id":"long","messages":[' .. table.concat(messages, ",") .. "]}\n")
      local shown = lines((select(2, run { "show", store, "long", "--json" })))
      assert.equal(2500, #shown)
      for i = 1, 2500, 499 do assert.equal(tostring(i), holdfast.json.decode(shown[i]).content) end
    end)

    it("says that there is no such conversation", function()
      import(chat)
      local status, out, err = run { "show", store, "c9" }
      assert.equal(1, status)
      assert.equal("", out)
      assert.truthy(err:find('"c9"', 1, true))
    end)
  end)
end)
