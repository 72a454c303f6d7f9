-- What the program shows of streams, dead writers, searches and forks: tail, recover, search, ls and show.

local holdfast = require "holdfast"

package.path = "tests/spec/?.lua;" .. package.path
local program = require "program_support"

describe("the program", function()
  local store, writer

  before_each(function()
    store = program.start()
    writer = program.writer(store)
    writer:exec {op = "createConversation", conversationId = "c1"}
  end)

  after_each(program.clean)

  local function reserve(id)
    writer:exec {op = "reserve", conversationId = "c1", role = "assistant", messageId = id or "m1"}
  end

  local function append(text, id) return writer:exec {op = "append", messageId = id or "m1", delta = text} end

  local function finish(text, id) writer:exec {op = "updateContent", messageId = id or "m1", content = text} end

  local function decoded(text)
    local list = {}
    for i, line in ipairs(program.lines(text)) do list[i] = holdfast.json.decode(line) end
    return list
  end

  describe("tail", function()
    it("prints what there is, byte for byte, and leaves a living writer alone", function()
      reserve()
      append "one\n"
      append "\t\27[1mtw\u{e9}"
      local status, out, err = program.call("tail", store, "m1")
      assert.equal(0, status)
      assert.equal("one\n\t\27[1mtw\u{e9}", out)
      assert.equal("holdfast: m1: streaming, seq 2\n", err)
      assert.equal(3, append("three").seq)
    end)

    it("goes by the text of a final message, whatever blocks it is made of", function()
      reserve()
      finish '[{"type":"text","text":"all of it"},{"type":"tool_use","name":"f","input":{}}]'
      local status, out = program.call("tail", store, "m1")
      assert.equal(0, status)
      assert.equal("all of it", out)
    end)

    it("leaves out what was seen", function()
      reserve()
      for _, text in ipairs {"one ", "two ", "three"} do append(text) end
      assert.equal("two three", (select(2, program.call("tail", store, "m1", "--after", "1"))))
      assert.equal("", (select(2, program.call("tail", store, "m1", "--after", "3"))))
      assert.equal("", (select(2, program.call("tail", store, "m1", "--after", "9223372036854775807"))))
    end)

    it("prints a line for each delta with --json, and one of the state", function()
      reserve()
      append "one\n"
      append "two"
      local status, out, err = program.call("tail", store, "m1", "--json")
      assert.equal(0, status)
      assert.equal('{"seq":1,"delta":"one\\n"}\n{"seq":2,"delta":"two"}\n{"state":"streaming","seq":2}\n', out)
      assert.equal("", err)
    end)

    it("prints the content of a message that is final", function()
      reserve()
      append "hel"
      finish "hello"
      local status, out, err = program.call("tail", store, "m1")
      assert.equal(0, status)
      assert.equal("hello", out)
      assert.equal("holdfast: m1: final, seq 1\n", err)
      assert.equal('{"state":"final","seq":1,"content":"hello"}\n', (select(2, program.call("tail", store, "m1", "--json"))))
    end)

    it("does not guess what came after a seq that is gone", function()
      reserve()
      append "hel"
      finish "hello"
      local status, out, err = program.call("tail", store, "m1", "--after", "1")
      assert.equal(1, status)
      assert.equal("", out)
      assert.truthy(err:find("what came after seq 1 cannot be told", 1, true))
      assert.equal(0, (program.call("tail", store, "m1", "--after", "1", "--json")))
    end)

    it("prints what an aborted message got", function()
      reserve()
      append "hel"
      writer:exec {op = "abort", messageId = "m1"}
      local status, out, err = program.call("tail", store, "m1", "--follow")
      assert.equal(0, status)
      assert.equal("hel", out)
      assert.equal("holdfast: m1: aborted, seq 1\n", err)
    end)

    it("says that there is no such message", function()
      local status, out, err = program.call("tail", store, "m9", "--follow")
      assert.equal(1, status)
      assert.equal("", out)
      assert.truthy(err:find('no message "m9"', 1, true))
    end)

    for what, number in pairs {
      ["a negative number"] = "-1", ["no number"] = "x", ["a number that is too large"] = "9223372036854775808",
    } do
      it("refuses " .. what .. " for --after", function()
        local status, _, err = program.call("tail", store, "m1", "--after", number)
        assert.equal(2, status)
        assert.truthy(err:find("--after is a number from 0 on", 1, true))
      end)
    end
  end)

  describe("tail --follow", function()
    local function printed(run, text)
      program.wait_for(("%q"):format(text), function() return run:printed() == text end)
    end

    it("goes on until the message is final, and prints the rest of it", function()
      reserve()
      append "one "
      local run = program.begin("follow", "tail", store, "m1", "--follow")
      printed(run, "one ")
      append "two "
      printed(run, "one two ")
      finish "one two three"
      assert.equal(0, run:ended())
      assert.equal("one two three", run:printed())
      assert.equal("holdfast: m1: final, seq 2\n", run:said())
    end)

    it("waits for the first delta, and knows what --after left out", function()
      reserve()
      append "one "
      local run = program.begin("follow", "tail", store, "m1", "--follow", "--after", "1")
      program.sleep(0.3)
      append "two "
      printed(run, "two ")
      finish "one two three"
      assert.equal(0, run:ended())
      assert.equal("two three", run:printed())
    end)

    it("says so where the final content is another, which --json has whole", function()
      reserve()
      append "the key is sk-1"
      local run = program.begin("follow", "tail", store, "m1", "--follow")
      local json = program.begin("json", "tail", store, "m1", "--follow", "--json")
      printed(run, "the key is sk-1")
      printed(json, '{"seq":1,"delta":"the key is sk-1"}\n')
      finish "the key is [redacted]"
      assert.equal(1, run:ended())
      assert.equal("the key is sk-1", run:printed())
      assert.truthy(run:said():find("its content is another than what was printed", 1, true))
      assert.equal(0, json:ended())
      assert.same({state = "final", seq = 1, content = "the key is [redacted]"}, decoded(json:printed())[2])
    end)

    it("finds the message interrupted where its writer is killed", function()
      reserve()
      append "half a "
      local run = program.begin("follow", "tail", store, "m1", "--follow")
      printed(run, "half a ")
      program.sleep(1.2) -- past the moment where the store is opened anew, while the writer lives
      append "sen"
      printed(run, "half a sen")
      writer:kill()
      assert.equal(0, run:ended())
      assert.equal("half a sen", run:printed())
      assert.equal("holdfast: m1: interrupted, seq 2\n", run:said())
    end)

    it("ends where the message is deleted", function()
      reserve()
      local run = program.begin("follow", "tail", store, "m1", "--follow")
      program.sleep(0.3)
      writer:exec {op = "delete", messageId = "m1"}
      assert.equal(1, run:ended())
      assert.truthy(run:said():find('no message "m1"', 1, true))
    end)

    it("ends as a program that was interrupted, and says where it was", function()
      reserve()
      append "one"
      for signal, status in pairs {INT = 130, TERM = 143} do
        local run = program.begin(signal, "tail", store, "m1", "--follow")
        printed(run, "one")
        run:signal(signal)
        assert.equal(status, run:ended())
        assert.equal("holdfast: m1: streaming, seq 1", run:said():match "^[^\n]*") -- and what the shell says
      end
    end)

    it("ends where nobody reads on, though nothing comes any more", function()
      reserve()
      append "one"
      local status = program.path "status"
      os.execute(("{ timeout 20 '%s' tail '%s' m1 --follow 2>/dev/null; echo $? >'%s'; } | head -c 3 >/dev/null")
        :format(os.getenv "HOLDFAST_PROGRAM" or "build/default/holdfast", store, status))
      local file <close> = assert(io.open(status))
      assert.equal("1", file:read "l")
    end)
  end)

  describe("recover", function()
    local function leave_two()
      writer:exec {op = "createConversation", conversationId = "c2"}
      writer:exec {op = "reserve", conversationId = "c2", role = "assistant", messageId = "m2"}
      reserve()
      append "half a "
      append "sentence"
      writer:exec {op = "add", conversationId = "c1", role = "user", content = "hello"}
      writer:kill()
    end

    it("lists what a dead writer left, and changes nothing", function()
      leave_two()
      for _ = 1, 2 do
        local status, out, err = program.call("recover", store)
        assert.equal(0, status)
        assert.equal("", err)
        local found = program.lines(out)
        table.sort(found)
        assert.equal(2, #found)
        assert.truthy(found[1]:find "^m1\tc1\tassistant\t15\t2\t%d+%-%d+%-%d+T%d+:%d+:%d+Z\tinterrupted$")
        assert.truthy(found[2]:find "^m2\tc2\tassistant\t0\t0\t%S+\tinterrupted$")
      end
      local rows = decoded((select(2, program.call("recover", store, "m1", "--json"))))
      assert.equal(1, #rows)
      assert.equal("number", type(rows[1].createdAt))
      rows[1].createdAt = nil
      assert.same({id = "m1", conversationId = "c1", role = "assistant", bytes = 15, seq = 2, state = "interrupted"}, rows[1])
    end)

    it("leaves what lives alone", function()
      reserve()
      local status, out = program.call("recover", store, "--abort")
      assert.equal(0, status)
      assert.equal("", out)
      local _, _, err = program.call("recover", store, "m1", "--abort")
      assert.equal("holdfast: m1: it is reserved: expected an interrupted message\n", err)
      assert.equal(1, append("x").seq)
    end)

    it("exports neither drafts nor what was aborted", function()
      leave_two()
      for _, dialog in ipairs(decoded((select(2, program.call("export", store))))) do
        assert.same(dialog.id == "c1" and {{role = "user", content = "hello"}} or {}, dialog.messages)
      end
    end)

    it("makes them final with what they have", function()
      leave_two()
      local status, out = program.call("recover", store, "m1", "--final")
      assert.equal(0, status)
      assert.truthy(out:find "^m1\t.*\tfinal\n$")
      assert.equal("half a sentence", (select(2, program.call("tail", store, "m1"))))
      assert.truthy((select(2, program.call("search", store, "sentence"))):find("m1", 1, true))
      assert.equal(1, #program.lines((select(2, program.call("recover", store)))))
    end)

    it("aborts what has nothing to be final with", function()
      leave_two()
      assert.truthy((select(2, program.call("recover", store, "m2", "--final"))):find "^m2\t.*\taborted\n$")
      assert.falsy((select(2, program.call("ls", store))):find "unseen")
    end)

    it("aborts all of them", function()
      leave_two()
      local status, out = program.call("recover", store, "--abort", "--json")
      assert.equal(0, status)
      local rows = decoded(out)
      assert.equal(2, #rows)
      for _, row in ipairs(rows) do assert.equal("aborted", row.state) end
      assert.equal("", (select(2, program.call("recover", store))))
      assert.truthy((select(2, program.call("show", store, "c1"))):find("aborted\n  half a sentence\n", 1, true))
    end)

    it("shows the layers what it does", function()
      leave_two()
      local layer = program.path "no.lua"
      local file <close> = assert(io.open(layer, "w"))
      file:write 'return {ops = {"abort"}, handle = function(_, _, ctx) ctx:reject("denied", "not today") end}'
      file:flush()
      local status, out, err = program.call("recover", store, "m1", "--abort", "--use", layer)
      assert.equal(1, status)
      assert.equal("", out)
      assert.equal("holdfast: m1: not today\n", err)
    end)

    it("fails for what is not there, and does the rest", function()
      leave_two()
      local status, out, err = program.call("recover", store, "m9", "m1", "--final")
      assert.equal(1, status)
      assert.equal(1, #program.lines(out))
      assert.equal("holdfast: m9: there is no such message\n", err)
    end)

    it("does one or the other", function()
      assert.equal(2, (program.call("recover", store, "--final", "--abort")))
    end)
  end)

  describe("search", function()
    before_each(function()
      writer:exec {op = "createConversation", conversationId = "c2"}
      for i, text in ipairs {"a red\nand\tblue fox", "a red wolf"} do
        writer:exec {op = "add", conversationId = "c" .. i, messageId = "m" .. i, role = "user", content = text}
      end
      writer:close()
    end)

    it("prints a line for each hit", function()
      local status, out, err = program.call("search", store, "red fox")
      assert.equal(0, status)
      assert.equal("", err)
      assert.truthy(out:find "^c1\tm1\tuser\t%d+%-%d+%-%d+T%d+:%d+:%d+Z\ta %[red%] and blue %[fox%]\n$")
    end)

    it("prints hits as the op has them with --json", function()
      local hits = decoded((select(2, program.call("search", store, "red", "--json"))))
      assert.equal(2, #hits)
      assert.equal("a [red] wolf", hits[hits[1].message.id == "m2" and 1 or 2].snippet)
    end)

    it("stays within a conversation and a limit", function()
      assert.truthy((select(2, program.call("search", store, "red", "--conversation", "c2"))):find "^c2\tm2\t[^\n]*\n$")
      assert.equal(1, #program.lines((select(2, program.call("search", store, "red", "--limit", "1")))))
      assert.equal(2, (program.call("search", store, "red", "--limit", "0")))
    end)

    it("takes no hits for no failure", function()
      local status, out, err = program.call("search", store, "bear")
      assert.same({0, "", ""}, {status, out, err})
    end)

    it("says what is wrong with a query", function()
      local status, out, err = program.call("search", store, '"red')
      assert.equal(1, status)
      assert.equal("", out)
      assert.truthy(err:find("holdfast: query: ", 1, true), err)
    end)
  end)

  describe("ls and show", function()
    it("mark what was not seen, and forks", function()
      writer:exec {op = "add", conversationId = "c1", role = "assistant", content = "hello", messageId = "m1"}
      local fork = writer:exec {op = "fork", conversationId = "c1", title = "other"}.conversation.id
      local function marks()
        local found = {}
        for _, line in ipairs(program.lines((select(2, program.call("ls", store))))) do
          local id, _, rest = line:match "^([^\t]*)\t([^\t]*)\t(.*)$"
          found[id] = rest
        end
        return found
      end
      assert.same({c1 = "\tunseen", [fork] = "other\tfork of c1"}, marks())
      writer:exec {op = "markSeen", conversationId = "c1"}
      writer:exec {op = "add", conversationId = fork, role = "assistant", content = "hello"}
      assert.same({c1 = "", [fork] = "other\tunseen, fork of c1"}, marks())
    end)

    it("show the text so far, and why a message was aborted", function()
      for i = 1, 3 do reserve("m" .. i) end
      append("so far", "m1")
      append("cut", "m2")
      writer:exec {op = "abort", messageId = "m2", reason = "the user\n left"}
      local _, out = program.call("show", store, "c1")
      out = out:gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", "TIME")
      assert.equal("c1\n\nassistant  TIME  streaming\n  so far\n\nassistant  TIME  aborted: the user\\u000a left\n  cut\n\n"
        .. "assistant  TIME  reserved\n", out)
    end)
  end)
end)
