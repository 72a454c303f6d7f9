-- What may happen to an answer while `agent_host` streams it: the user stops it, another handle does, the host
-- dies, the disk fails. Each is seen in the output, and in the store by the program.

local holdfast = require "holdfast"
local json = holdfast.json
local host = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "agent_host_support.lua")

local anthropic, chat = host.anthropic, host.chat
local weather = {'One moment, I am asking the "harbour', '" station \u{1F327}', " – …\n"}
local tea = {"The kettle is on; ", "I set two timers. ☕"}

describe("agent_host", function()
  local folder, store_path

  before_each(function()
    folder = host.make_folder()
    store_path = folder .. "/chat.db"
  end)

  after_each(host.clean)

  local function play(...) return host.run("agent_host", store_path, ...) end

  -- The newest answer, as the program lists it, and what it reads of it.
  local function newest()
    local messages = host.ask(store_path, {op = "list", conversationId = "demo"}).messages
    local message = messages[#messages]
    assert.are.equal("assistant", message.role)
    return message, host.ask(store_path, {op = "read", messageId = message.id})
  end

  local function layer(source)
    local path = folder .. "/layer.lua"
    host.write(path, source)
    return path
  end

  local function texts_of(answer)
    local texts = {}
    for i, delta in ipairs(answer.deltas) do
      assert.are.equal(i, delta.seq)
      texts[i] = delta.delta
    end
    return texts
  end

  local function last_event(ran)
    local events = host.events_of(ran.out)
    return events[#events]
  end

  -- ---- Cancel ----

  it("keeps what was streamed of an answer that the user stops, and goes on with the next turn", function()
    local ran = play(anthropic, "--cancel", "2")
    assert.are.same({0, ""}, {ran.status, ran.err})
    local message, read = newest()
    assert.are.same({"aborted", weather[1] .. weather[2]}, {message.state, message.content})
    assert.are.equal("the user stopped it", message.metadata.abortReason)
    assert.are.same({weather[1], weather[2]}, texts_of(read))
    local stop = last_event(ran)
    assert.are.same({"message_stop", message.id, 2, "the user stopped it"},
                    {stop.event, stop.data.messageId, stop.data.seq, stop.data.abortReason})
    assert.is_nil(ran.out:find("…", 1, true))

    assert.are.equal(0, play(chat).status)
    assert.are.equal("final", newest().state)
    assert.are.equal("aborted", host.ask(store_path, {op = "get", messageId = message.id}).message.state)
  end)

  it("refuses a late piece of a stopped answer", function()
    play(anthropic, "--cancel", "1")
    local message = newest()
    local answer = host.ask(store_path, {op = "append", messageId = message.id, delta = "late", seq = 2})
    assert.are.equal("conflict", answer.error.code)
    assert.are.equal(weather[1], newest().content)
  end)

  it("gives a client that is away when the user stops the answer what came until then", function()
    local ran = play(anthropic, "--drop", "2", "--cancel", "3")
    assert.is_truthy(ran.out:find(": the client is back, it saw 2: read gives it 9 bytes, through 3\n", 1, true))
    local text = ran.out:match("\n: the client has ([^\n]*)\n")
    assert.are.equal(table.concat(weather), json.decode(text))
    assert.are.equal("aborted", newest().state)
  end)

  it("lets others read while it streams, and stops where another handle aborts the answer", function()
    local pipe, done = folder .. "/pipe", folder .. "/done"
    assert(os.execute("mkfifo " .. host.quote(pipe)))
    os.execute(("{ '%s/examples/agent_host' '%s' '%s' >'%s/out' 2>'%s/err'; echo $? >'%s'; } &"):format(
      os.getenv("HOLDFAST_BUILD_DIR") or "build/default", store_path, pipe, folder, folder, done))
    local chunks = {}
    for line in io.lines(chat) do chunks[#chunks + 1] = line .. "\n" end
    local stream = assert(io.open(pipe, "r+")) -- which does not wait for a reader
    assert(stream:write(chunks[1], chunks[2]):flush())

    local function wait(what)
      for _ = 1, 600 do
        local found = what()
        if found then return found end
        os.execute("sleep 0.05")
      end
      error("it took too long")
    end
    local function file(path)
      local open = io.open(path)
      local text = open and open:read("a")
      if open then open:close() end
      return text
    end
    wait(function() return (file(folder .. "/out") or ""):find('"seq":1', 1, true) end)
    local message, read = newest()
    assert.are.same({"streaming", tea[1]}, {message.state, message.content})
    assert.are.same({"streaming", {tea[1]}}, {read.state, texts_of(read)})
    host.ask(store_path, {op = "abort", messageId = message.id, reason = "the line was cut"})

    stream:write(chunks[3])
    stream:close()
    assert.are.equal("1\n", wait(function() local text = file(done) return text ~= "" and text end))
    assert.is_truthy(file(folder .. "/err"):find("agent_host: append: conflict: ", 1, true))
    assert.is_nil(file(folder .. "/out"):find("two timers", 1, true))
    message = newest()
    assert.are.same({"aborted", tea[1], "the line was cut"},
                    {message.state, message.content, message.metadata.abortReason})
  end)

  -- ---- Crash ----

  for count = 1, #weather do
    it("has all pieces that were acknowledged when the host dies after " .. count, function()
      local ran = play(anthropic, "--crash", tostring(count))
      assert.is_truthy(ran.status == 9 or ran.status == 128 + 9)
      local text = table.concat(weather, "", 1, count)
      local message, read = newest()
      assert.are.same({"interrupted", text}, {message.state, message.content})
      assert.are.same({table.unpack(weather, 1, count)}, texts_of(read))
      assert.are.equal(message.id, last_event(ran).data.messageId)
      assert.are.equal(count, last_event(ran).data.seq)
    end)
  end

  it("settles at its next start what a host that died was receiving, and goes on", function()
    play(anthropic, "--crash", "2")
    local dead = newest()
    local ran = play(chat)
    assert.are.same({0, ""}, {ran.status, ran.err})
    assert.is_truthy(ran.out:find(": recovered " .. dead.id .. ": 50 bytes, through 2\n", 1, true))
    local message = host.ask(store_path, {op = "get", messageId = dead.id}).message
    assert.are.equal("final", message.state)
    assert.are.same({{type = "text", text = weather[1] .. weather[2]}}, json.decode(message.content))
    assert.is_true(message.metadata.interrupted)
    assert.are.equal("anthropic", message.metadata.provider)
    message = newest()
    assert.are.same({"final", table.concat(tea)}, {message.state, json.decode(message.content)[1].text})
    assert.is_nil(play(chat).out:find(": recovered", 1, true))
  end)

  it("settles an answer that died before its first piece as one without blocks", function()
    local store = holdfast.open(store_path)
    store:createConversation{conversationId = "demo"}
    local id = store:reserve({conversationId = "demo", role = "assistant"}).message.id
    store:close()
    local ran = play(chat)
    assert.is_truthy(ran.out:find(": recovered " .. id .. ": 0 bytes, through 0\n", 1, true))
    local message = host.ask(store_path, {op = "get", messageId = id}).message
    assert.are.same({"final", "[]"}, {message.state, message.content})
  end)

  it("leaves alone what a living host is receiving", function()
    local store <close> = holdfast.open(store_path)
    store:createConversation{conversationId = "demo"}
    local id = store:reserve({conversationId = "demo", role = "assistant"}).message.id
    assert.is_nil(play(chat).out:find(": recovered", 1, true))
    assert.are.equal("reserved", store:get({messageId = id}).message.state)
    assert.are.equal(1, store:append({messageId = id, delta = "on", seq = 1}).seq)
  end)

  -- ---- Failures ----

  it("asks again with the same ids where an outcome is unknown", function()
    local doubtful = layer [[
      return {ops = {"add", "reserve", "append", "updateContent"}, handle = function(op, next, ctx)
        if not ctx.state[op.op] then
          ctx.state[op.op] = op.messageId
          ctx:reject("unknown", "the disk failed")
        end
        assert(op.op == "append" or ctx.state[op.op] == op.messageId)
        return next(op)
      end}]]
    local ran = play(chat, "--use", doubtful)
    assert.are.same({0, ""}, {ran.status, ran.err})
    local message, read = newest()
    assert.are.equal(table.concat(tea), json.decode(message.content)[1].text)
    assert.are.equal(#tea, read.seq)
    assert.are.equal(2, #host.stored(store_path))
  end)

  it("is answered, and stores nothing twice, where a piece that it repeats is there", function()
    local twice = layer [[
      return {ops = {"append"}, handle = function(op, next, ctx)
        ctx:exec(op)
        return next(op)
      end}]]
    assert.are.equal(0, play(chat, "--use", twice, "--cancel", "2").status)
    local message, read = newest()
    assert.are.equal(table.concat(tea), message.content)
    assert.are.same(tea, texts_of(read))
  end)

  it("stops an answer whose text cannot be stored, and tells the client of nothing that is not", function()
    local full = layer [[
      return {ops = {"append"}, handle = function(op, next, ctx)
        if op.seq == 2 then ctx:reject("full", "no room") end
        return next(op)
      end}]]
    local ran = play(chat, "--use", full)
    assert.are.equal(1, ran.status)
    assert.are.equal("agent_host: append: full, from layer layer: no room\n", ran.err)
    assert.is_nil(ran.out:find("two timers", 1, true))
    local message = newest()
    assert.are.same({"aborted", tea[1]}, {message.state, message.content})
    assert.are.equal("it could not be stored", last_event(ran).data.abortReason)
  end)

  -- ---- Layers ----

  it("says what redact holds back of a key that is split, and stores none of it, whenever the host dies", function()
    local texts = {"The old key was ", "The old key was [redacted]", "The old key was [redacted], and it is revoked."}
    for count, text in ipairs(texts) do
      local ran = play(host.key, "--use", "redact", "--crash", tostring(count))
      assert.is_truthy(ran.out:find("\n: a layer holds back 13 bytes\n", 1, true))
      assert.are.equal(text, newest().content)
      local files = host.output_of("cat " .. host.quote(store_path) .. "*")
      assert.is_truthy(files:find("The old key was ", 1, true))
      assert.is_nil(files:find("demo4f9a7c", 1, true) or files:find("aa17c0ffee", 1, true))
    end
    assert.are.equal(0, play(host.key, "--use", "redact").status)
    assert.are.equal(texts[3], json.decode(newest().content)[1].text)
  end)

  -- ---- Search and attention ----

  it("finds the words of an answer, and marks it as seen once it was shown", function()
    local ran = play(chat, "--search", "kettle")
    local message = newest()
    assert.is_truthy(ran.out:find("\n--- not seen until now: " .. message.id .. "\n", 1, true))
    assert.is_truthy(ran.out:find("\n--- search kettle: 1 found\n" .. message.id .. ": The [kettle] is on;", 1, true))
    local conversation = host.ask(store_path, {op = "getConversation", conversationId = "demo"}).conversation
    assert.is_false(conversation.attention.unseen)
    assert.are.equal(message.id, conversation.attention.lastSeenMessageId)
  end)
end)
