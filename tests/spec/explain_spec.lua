-- What the program tells of an op's way: explain, --trace, --watch, and the context that a line brings along.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local json = holdfast.json

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function lines(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

local create = '{"op":"createConversation","conversationId":"c1","title":"One"}'

local function add(content, more)
  return json.encode {op = "add", conversationId = "c1", messageId = "m1", role = "user", content = content,
                      metadata = more}
end

describe("holdfast", function()
  local folder

  before_each(function()
    local pipe <close> = assert(io.popen("mktemp -d"))
    folder = pipe:read "l"
  end)
  after_each(function() os.execute("rm -rf " .. quote(folder)) end)

  local function write(name, text) return support.write(folder .. "/" .. name, text) end

  -- Runs a command of the shell in the folder: its status, standard output and standard error.
  local function shell(command)
    write("command.sh", command)
    local _, how, status = os.execute(("export PROGRAM=$(realpath %s); cd %s; sh ./command.sh >out 2>err"):format(
      quote(support.program), quote(folder)))
    assert.equal("exit", how)
    return status, support.read(folder .. "/out"), support.read(folder .. "/err")
  end

  local function layers()
    write("tag.lua", [[
      return {ops = {"add"}, handle = function(op, next)
        op.metadata = op.metadata or {}
        op.metadata.channel = "web"
        local result = next(op)
        result.message.metadata.seen = true
        return result
      end}
    ]])
    write("policy.lua", [[
      return {ops = {"add"}, handle = function(op, next, ctx)
        if op.content:find "forbidden" then ctx:reject("denied", "not a word for users") end
        return next(op)
      end}
    ]])
    return "--use redact --use ./tag.lua --use ./policy.lua"
  end

  local secret = "sk-" .. ("aB3dE5gH"):rep(5)

  local function explain(op, arguments)
    write("op.json", op)
    return shell(('"$PROGRAM" run store.db <<"END" >/dev/null\n%s\nEND\n"$PROGRAM" explain store.db %s'):format(create,
      arguments))
  end

  describe("explain", function()
    it("draws what each layer changed on the way in and on the way out, and what would be stored", function()
      local status, out = explain(add("my key is " .. secret), layers() .. " op.json")
      assert.equal(0, status)
      for _, part in ipairs {
        "add\n╭ redact  rewrote  ", '\n│   - content: "my key is ' .. secret .. '"\n│   + content: "my key is [redacted]"\n',
        "\n│ ╭ tag  rewrote  ", '\n│ │   + metadata: {"channel":"web"}\n', "\n│ │ ╭ policy  passed  ",
        "\n│ │ │ ■ terminal  ", '\n│ │ │     message.id: "m1"\n', '\n│ │ │     message.content: "my key is [redacted]"\n',
        "\n│ │ ╰ policy\n│ │   + result.message.metadata.seen: true\n│ ╰ tag\n╰ redact\n", "\nwould succeed  ", " µs",
      } do
        assert.is_truthy(out:find(part, 1, true), part .. "\nis not in\n" .. out)
      end
      assert.is_nil(out:find "\27")
    end)

    it("shows which layer refused, with code and message, and exits with 1", function()
      local status, out = explain(add("a forbidden word, " .. secret), layers() .. " op.json")
      assert.equal(1, status)
      assert.is_truthy(out:find("\n│ │ ╭ policy  refused  ", 1, true), out)
      assert.is_truthy(out:find("\n│ │ │   denied: not a word for users\n│ │ ╰ policy\n", 1, true), out)
      assert.is_truthy(out:find("\nwould fail: denied, by policy", 1, true), out)
      assert.is_nil(out:find("terminal", 1, true))
    end)

    it("shows an error of the terminal, and one that a layer raised", function()
      local _, out = explain('{"op":"list","conversationId":"nowhere"}', "op.json")
      assert.is_truthy(out:find("■ terminal  failed  ", 1, true), out)
      assert.is_truthy(out:find("\n  notFound: ", 1, true), out)
      write("bad.lua", "return function(op) return op.x.y end")
      local status
      status, out = explain(add "x", "--use ./bad.lua op.json")
      assert.equal(1, status)
      assert.is_truthy(out:find("╭ bad  failed", 1, true), out)
      assert.is_truthy(out:find("│   middleware: ./bad.lua:1: attempt to index", 1, true), out)
    end)

    it("stores nothing", function()
      local _, out = explain(add "hello", "op.json >/dev/null; \"$PROGRAM\" show store.db c1 --json")
      assert.equal("", out)
    end)

    it("gives the engine's own account with --json, on one line", function()
      local status, out = explain(add("a forbidden word, " .. secret), layers() .. " --json op.json")
      assert.equal(1, status)
      assert.equal(1, #lines(out))
      local told = json.decode(out)
      assert.equal("error", told.outcome)
      assert.equal("denied", told.error.code)
      assert.same({"redact", "tag", "policy"}, {told.steps[1].layer, told.steps[2].layer, told.steps[3].layer})
      assert.equal("content", told.steps[1].changes[1].path)
      assert.equal("refused", told.steps[3].did)
    end)

    it("reads one op of any number of lines from standard input", function()
      local status, out = explain(add("hello"):gsub(",", "\n,\n"), "< op.json")
      assert.equal(0, status)
      assert.is_truthy(out:find('message.content: "hello"', 1, true))
    end)

    it("says what is no op, or no store", function()
      local status, out, err = explain('{"op":"ad"}', "op.json")
      assert.same({1, ""}, {status, out})
      assert.is_truthy(err:find('did you mean "add"', 1, true), err)
      assert.equal(1, (explain("", "op.json")))
      assert.equal(1, (explain(create .. "\n" .. create, "op.json")))
      assert.equal(3, (shell '"$PROGRAM" explain none.db op.json'))
      assert.equal(2, (shell '"$PROGRAM" explain store.db none.json'))
      assert.equal(3, (explain(create, "--use ./none.lua op.json")))
    end)

    it("escapes what could steer a terminal, in values, paths and messages", function()
      write("sly.lua", [[return function(op, next, ctx)
        op.metadata = {["\27[31m"] = "\27[2J"}
        next(op)
        ctx:reject("no\27[0m", "\27c")
      end]])
      local _, out = explain(add("\u{9b}2J\127", {["\27]0;x"] = 1}), "--use ./sly.lua op.json")
      assert.is_nil(out:find "[\27\127]")
      assert.is_nil(out:find("\u{9b}", 1, true))
    end)

    it("cuts no character, and keeps to the width", function()
      local _, out = explain(add(("世界🙂é"):rep(200)), layers() .. " op.json")
      for _, line in ipairs(lines(out)) do
        assert.is_truthy(utf8.len(line), line)
        assert.is_true(utf8.len(line) <= 80, line)
      end
      assert.is_truthy(out:find("…\n", 1, true))
    end)

    it("begins long texts shortly before they differ", function()
      local _, out = explain(add(("long ago "):rep(500) .. secret), "--use redact op.json")
      assert.is_truthy(out:find("long ago [redacted]\"\n", 1, true), out)
    end)

    it("has colours and the terminal's width on a terminal, unless NO_COLOR is set", function()
      if not os.execute "script -qec true /dev/null >/dev/null 2>&1" then
        return pending "there is no program `script`, or no terminal to be had"
      end
      write("op.json", add(("hello "):rep(50)))
      local command = 'stty cols 60; $PROGRAM explain store.db --use redact op.json'
      local function on_terminal(setting)
        return (select(2, shell(('echo %s | "$PROGRAM" run store.db >/dev/null; export TERM=xterm; %s script -qec %s /dev/null')
          :format(quote(create), setting, quote(command)))))
      end
      local out = on_terminal ""
      assert.is_truthy(out:find("\27[1mredact\27[0m", 1, true), out)
      local plain = out:gsub("\27%[[%d;]*m", ""):gsub("\r", "")
      local longest = 0
      for _, line in ipairs(lines(plain)) do longest = math.max(longest, utf8.len(line)) end
      assert.equal(60, longest)
      assert.is_nil(on_terminal("NO_COLOR=1"):find "\27")
    end)
  end)

  describe("--trace", function()
    it("appends a line of JSON for each op, the failed ones included", function()
      local ops = create .. "\n" .. add "hello" .. "\n" .. add "forbidden" .. "\n"
      write("ops.jsonl", ops)
      for i = 1, 2 do
        shell('"$PROGRAM" run store.db --trace trace.jsonl ' .. layers() .. " ops.jsonl")
        local records = lines(support.read(folder .. "/trace.jsonl"))
        assert.equal(3 * i, #records)
        local ok, failed = json.decode(records[3 * i - 1]), json.decode(records[3 * i])
        assert.equal("ok", ok.outcome)
        assert.same({"redact", "tag", "policy"}, {table.unpack(ok.chain)})
        assert.equal("rewrote", ok.layers[2].did)
        assert.equal("denied", failed.code)
        assert.equal("refused", failed.layers[3].did)
      end
    end)

    it("has each record in the file before the next op is read", function()
      local _, out = shell(([[
        mkfifo in.pipe out.pipe
        "$PROGRAM" run store.db --trace trace.jsonl <in.pipe >out.pipe &
        exec 3>in.pipe 4<out.pipe
        for i in 1 2 3; do echo %s >&3 && read -r answer <&4 && wc -l <trace.jsonl; done
      ]]):format(quote(create)))
      assert.same({"1", "2", "3"}, lines(out:gsub(" ", "")))
    end)

    it("traces an import", function()
      write("chat.jsonl", '{"id":"d1","messages":[{"role":"user","content":"hi"}]}\n')
      assert.equal(0, (shell '"$PROGRAM" import store.db --trace trace.jsonl chat.jsonl'))
      assert.is_truthy(support.read(folder .. "/trace.jsonl"):find('"op":"batch"', 1, true))
    end)

    it("refuses a file that cannot be written", function()
      local status, _, err = shell '"$PROGRAM" run store.db --trace /nonexistent/trace </dev/null'
      assert.equal(2, status)
      assert.is_truthy(err:find("--trace /nonexistent/trace: ", 1, true))
    end)
  end)

  describe("run --watch", function()
    -- Answers and notes for ops that are run one after the other, each after a command of the shell.
    local function drive(steps, arguments)
      local script = {[[
        mkfifo in.pipe out.pipe
        "$PROGRAM" run store.db ]] .. arguments .. [[ <in.pipe >out.pipe &
        exec 3>in.pipe 4<out.pipe
      ]]}
      for i, step in ipairs(steps) do
        local op = ('{"op":"createConversation","conversationId":"w%d"}'):format(i)
        script[#script + 1] = ("%s\necho %s >&3 && read -r answer <&4 && printf '%%s\\n' \"$answer\""):format(step, quote(op))
      end
      script[#script + 1] = "exec 3>&- 4<&-; wait"
      local _, out, err = shell(table.concat(script, "\n"))
      local titles = {}
      for i, line in ipairs(lines(out)) do titles[i] = json.decode(line).conversation.title end
      return titles, err
    end

    local function titler(title)
      return ('return {name = "titler", ops = {"createConversation"}, handle = function(op, next) op.title = "%s" '
        .. "return next(op) end}"):format(title)
    end

    local function put(text) return ("printf '%%s' %s >titler.lua"):format(quote(text)) end

    it("takes what a file has become from the next op on", function()
      write("titler.lua", titler "one")
      local renamed = put(titler "two"):gsub("titler.lua$", "new.lua") .. "; mv new.lua titler.lua"
      local titles, err = drive({"", renamed, "", put(titler "three, and longer")}, "--watch --use ./titler.lua")
      assert.same({"one", "two", "two", "three, and longer"}, titles)
      assert.equal("", err)
    end)

    it("goes on with the old chain where the new one does not load, and says so once", function()
      write("titler.lua", titler "one")
      local titles, err = drive({"", put "return 5 +", "", "rm titler.lua", put(titler "mended")},
        "--watch --use redact --use ./titler.lua")
      assert.same({"one", "one", "one", "one", "mended"}, titles)
      local notes = lines(err)
      assert.equal(2, #notes)
      assert.is_truthy(notes[1]:find("titler.lua:1:", 1, true), err)
      assert.is_truthy(notes[2]:find("No such file", 1, true), err)
    end)

    it("is asked for: without it, files are read once", function()
      write("titler.lua", titler "one")
      assert.same({"one", "one"}, (drive({"", put(titler "changed")}, "--use ./titler.lua")))
    end)
  end)

  describe("run", function()
    it("gives the layers the context that stands beside an op's fields, and stores none of it", function()
      write("echo.lua", [[
        return {ops = {"add"}, handle = function(op, next, ctx)
          op.content = ("%s %s %d %s %s"):format(ctx.requestId, ctx.conversationId, ctx.turnIndex, ctx.trust, ctx.tenant.name)
          return next(op)
        end}
      ]])
      write("ops.jsonl", create .. '\n{"op":"add","conversationId":"c1","role":"user","content":"x","ctx":{"requestId":"r-7",'
        .. '"conversationId":"c1","turnIndex":3,"trust":"guest","tenant":{"name":"acme"}}}\n')
      local status, out = shell '"$PROGRAM" run store.db --use ./echo.lua ops.jsonl'
      assert.equal(0, status)
      local row = json.decode(lines(out)[2]).message
      assert.equal("r-7 c1 3 guest acme", row.content)
      assert.is_nil(row.metadata)
    end)
  end)
end)
