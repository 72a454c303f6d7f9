-- The examples in C, run as a newcomer runs them: what `agent_host` prints and stores for each recorded
-- stream, what it does with a broken one, the layers of examples/middleware, and `embed`.

local holdfast = require "holdfast"
local json = holdfast.json
local host = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "agent_host_support.lua")

local read, write, run, output_of = host.read, host.write, host.run, host.output_of
local stored, replies, types_of = host.stored, host.replies, host.types_of
local anthropic, chat, responses_api = host.anthropic, host.chat, host.responses_api
local folder

describe("agent_host", function()
  local store_path

  before_each(function()
    folder = host.make_folder()
    store_path = folder .. "/chat.db"
  end)

  after_each(host.clean)

  it("finds the streams of the examples", function()
    assert.is_true(#host.streams() >= 3)
  end)

  for _, path in ipairs(host.streams()) do
    describe("with " .. path:match("[^/]+$"), function()
      local ran, messages, found, reads, expected

      setup(function()
        local played = host.make_folder() .. "/played.db"
        ran = run("agent_host", played, path, "--drop", "2")
        messages = stored(played)
        found = replies(messages)
        reads = {}
        for i, message in ipairs(found) do reads[i] = host.ask(played, {op = "read", messageId = message.id}) end
        expected = host.expected_of(host.chunks_of(path))
        host.clean()
      end)

      it("ends well and says nothing on standard error", function()
        assert.are.same({0, ""}, {ran.status, ran.err})
      end)

      it("stores one user message and one final assistant message for each response", function()
        assert.are.equal(#expected, #found)
        assert.are.equal(#expected + 1, #messages)
        assert.are.equal("user", messages[1].role)
        for _, message in ipairs(messages) do assert.are.equal("final", message.state) end
      end)

      it("stores text equal to the concatenated text deltas", function()
        for i, message in ipairs(found) do
          local text = {}
          for _, block in ipairs(json.decode(message.content)) do
            if block.type == "text" then text[#text + 1] = block.text end
          end
          assert.are.equal(expected[i].text, table.concat(text))
        end
      end)

      it("stores each tool call as a block of its own, with the input that was streamed", function()
        for i, message in ipairs(found) do
          local blocks = {}
          for _, block in ipairs(json.decode(message.content)) do
            if block.id then blocks[block.id] = block end
          end
          for id, input in pairs(expected[i].inputs) do
            assert.is_not_nil(blocks[id], "no block for the call " .. id)
            assert.are.equal("string", type(blocks[id].name))
            assert.are.same(json.decode(input == "" and "{}" or input), blocks[id].input)
          end
        end
      end)

      it("gives each message its provider, model and response id", function()
        for _, message in ipairs(found) do
          local metadata = message.metadata
          assert.is_truthy(metadata.provider == "anthropic" or metadata.provider == "openai")
          assert.are.equal("string", type(metadata.model))
          assert.are.equal("string", type(metadata.responseId))
          assert.are.equal("string", type(metadata.stopReason))
          assert.is_nil(metadata.interrupted)
        end
      end)

      it("prints only events that bear the message's id, from message_start to message_stop", function()
        local events, stream = host.events_of(ran.out)
        local _, lines = stream:gsub("%f[^\n]: [^\n]*\n\n", ""):gsub("\n", "") -- comments aside
        assert.are.equal(3 * #events, lines)
        local at, open = 0, false
        for _, event in ipairs(events) do
          if event.event == "message_start" then at, open = at + 1, true end
          assert.is_true(open)
          assert.are.equal(found[at].id, event.data.messageId)
          if event.event == "message_stop" then open = false end
        end
        assert.are.equal(#found, at)
        assert.is_false(open)
      end)

      it("streams the text that it stores", function()
        local text, at = {}, 0
        for _, event in ipairs(host.events_of(ran.out)) do
          if event.event == "message_start" then at = at + 1 end
          local delta = event.data.delta
          if delta and delta.type == "text_delta" then text[at] = (text[at] or "") .. delta.text end
        end
        for i, response in ipairs(expected) do assert.are.equal(response.text, text[i] or "") end
      end)

      it("numbers the pieces of text, each in the event that brings it", function()
        local at, seq = 0, 0
        for _, event in ipairs(host.events_of(ran.out)) do
          if event.event == "message_start" then at, seq = at + 1, 0 end
          local delta = event.data.delta
          if delta and delta.type == "text_delta" then
            seq = seq + 1
            assert.are.equal(expected[at].pieces[seq], delta.text)
          end
          assert.are.equal(seq, event.data.seq)
          if event.event == "message_stop" then assert.are.equal(#expected[at].pieces, seq) end
        end
        for i, answer in ipairs(reads) do
          assert.are.same({"final", 0, #expected[i].pieces}, {answer.state, #answer.deltas, answer.seq})
        end
      end)

      it("gives a client that lost its connection all of the text", function()
        local lost, back, texts = 0, 0, {}
        for note in ran.out:gmatch("\n: ([^\n]*)") do
          if note == "the client lost its connection after 2" then lost = lost + 1 end
          if note:find("^the client is back, it saw 2: read gives it ") then back = back + 1 end
          texts[#texts + 1] = note:match("^the client has (.*)")
        end
        local long = 0
        for i, response in ipairs(expected) do
          assert.are.equal(response.text, json.decode(texts[i]))
          if #response.pieces >= 2 then long = long + 1 end
        end
        assert.are.same({long, long}, {lost, back})
      end)

      it("prints the conversation at the end", function()
        local conversation = ran.out:match("\n%-%-%- conversation demo\n(.*)")
        for _, message in ipairs(messages) do
          assert.is_truthy(conversation:find(message.role .. " " .. message.id, 1, true))
        end
      end)
    end)
  end

  -- ---- Blocks ----

  it("names the blocks as Anthropic names them, in the order in which they came", function()
    run("agent_host", store_path, anthropic, chat, responses_api)
    local found = replies(stored(store_path))
    assert.are.same({"thinking", "text", "tool_use", "tool_use"}, types_of(found[1]))
    assert.are.same({"text", "tool_use", "tool_use"}, types_of(found[2]))
    assert.are.same({"thinking", "server_tool_use", "code_interpreter_tool_result", "tool_use"}, types_of(found[3]))
    assert.are.same({"file_search_call", "text"}, types_of(found[4]))
  end)

  it("keeps the numbers of tool inputs as they were written", function()
    run("agent_host", store_path, anthropic, chat, responses_api)
    local found = replies(stored(store_path))
    local input = '{"station":9007199254740993,"fields":["rain","wind"],"factor":1.10}'
    assert.is_truthy(found[1].content:find(input, 1, true))
    assert.is_truthy(found[2].content:find('"input":{"seconds":9007199254740993}', 1, true))
    assert.is_truthy(found[3].content:find('"value":9007199254740993}', 1, true))
  end)

  it("keeps the code that was run, and its result", function()
    run("agent_host", store_path, responses_api)
    local blocks = json.decode(replies(stored(store_path))[1].content)
    assert.are.equal("code_interpreter", blocks[2].name)
    assert.are.same({code = "print(sum(range(101)))\n"}, blocks[2].input)
    assert.are.equal(blocks[2].id, blocks[3].tool_use_id)
    assert.are.equal("5050\n", blocks[3].content[1].logs)
  end)

  it("keeps annotations as citations of their text", function()
    run("agent_host", store_path, responses_api)
    local blocks = json.decode(replies(stored(store_path))[2].content)
    assert.are.equal("gauss.txt", blocks[2].citations[1].filename)
  end)

  it("joins a surrogate pair that was split over two deltas", function()
    local path = folder .. "/split.txt"
    write(path, read(anthropic):gsub("\\ud83c\\udf27\"}}", "\\ud83c\"}}\n"
      .. '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"\\udf27"}}', 1))
    assert.are.equal(0, run("agent_host", store_path, path).status)
    local blocks = json.decode(replies(stored(store_path))[1].content)
    assert.is_truthy(blocks[2].text:find("\u{1F327}", 1, true))
  end)

  -- ---- Streams that break off ----

  local function first_lines(path, count)
    local lines = {}
    for line in io.lines(path) do
      if #lines == count then break end
      lines[#lines + 1] = line
    end
    return table.concat(lines, "\n") .. "\n"
  end

  local function play_broken(text)
    local path = folder .. "/broken.txt"
    write(path, text)
    local ran = run("agent_host", store_path, path)
    local found = replies(stored(store_path))
    return ran, found[#found]
  end

  it("keeps what came of a stream that ends too early, and marks it", function()
    local ran, message = play_broken(first_lines(anthropic, 15))
    assert.are.equal(1, ran.status)
    assert.is_truthy(ran.err:find("broken.txt: line 15: the stream ended before the response did", 1, true))
    assert.are.equal("final", message.state)
    assert.is_true(message.metadata.interrupted)
    assert.are.same({"thinking", "text", "tool_use"}, types_of(message))
    local call = json.decode(message.content)[3]
    assert.are.same({}, call.input)
    assert.are.equal('{"station": 90071992', call.partial_json)
  end)

  it("marks a reply whose last chunk is cut in the middle", function()
    local ran, message = play_broken(read(chat):sub(1, 700))
    assert.are.equal(1, ran.status)
    assert.is_truthy(ran.err:find("only a part of one", 1, true))
    assert.is_true(message.metadata.interrupted)
  end)

  it("keeps the code of a call that was not finished", function()
    local _, message = play_broken(first_lines(responses_api, 8))
    assert.are.equal("print(sum(", json.decode(message.content)[2].partial_input)
  end)

  it("hands on what the provider says when it gives up, in each format", function()
    local said = '{"code":"overloaded","message":"too many harbours"}'
    local errors = {
      [anthropic] = '{"type":"error","error":' .. said .. "}",
      [chat] = '{"error":' .. said .. "}",
      [responses_api] = '{"type":"response.failed","response":{"id":"resp_demo_1","error":' .. said .. "}}",
    }
    for path, chunk in pairs(errors) do
      local ran, message = play_broken(first_lines(path, 3) .. chunk .. "\n")
      assert.are.equal(1, ran.status)
      assert.is_truthy(ran.err:find("the provider reports: too many harbours", 1, true))
      assert.is_truthy(ran.out:find("\nevent: error\n", 1, true))
      assert.are.equal("the provider reports: too many harbours", message.metadata.problem)
      assert.is_true(message.metadata.interrupted)
    end
  end)

  it("settles a response that another one overtakes, and goes on with that", function()
    local ran = play_broken(first_lines(responses_api, 4) .. read(responses_api))
    local found = replies(stored(store_path))
    assert.are.equal(1, ran.status)
    assert.are.equal(3, #found)
    assert.is_true(found[1].metadata.interrupted)
    assert.is_nil(found[2].metadata.interrupted)
  end)

  it("refuses a file that is no stream, and plays the next one", function()
    local path = folder .. "/notes.txt"
    write(path, '{"hello":"world"}\n')
    local ran = run("agent_host", store_path, path, folder .. "/missing.txt", chat)
    assert.are.equal(1, ran.status)
    assert.is_truthy(ran.err:find("notes.txt: line 1: it is no chunk of a provider", 1, true))
    assert.is_truthy(ran.err:find("missing.txt: No such file", 1, true))
    assert.are.equal(1, #replies(stored(store_path)))
  end)

  it("takes figures that come after the end of a completion for no other response", function()
    local path = folder .. "/usage.txt"
    local function chunk(members, rest)
      return '{"id":"g1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,' .. members .. "}]"
        .. (rest or "") .. "}\n"
    end
    write(path, chunk('"delta":{"role":"assistant","content":"Hi"},"finish_reason":null')
      .. chunk('"delta":{"content":""},"finish_reason":"stop"')
      .. chunk('"delta":{"content":""},"finish_reason":null', ',"usage":{"total_tokens":3}'))
    local ran = run("agent_host", store_path, path)
    assert.are.same({0, ""}, {ran.status, ran.err})
    local found = replies(stored(store_path))
    assert.are.equal(1, #found)
    assert.are.same({"text"}, types_of(found[1]))
  end)

  -- ---- Options and layers ----

  it("writes to the conversation that it is told, and leaves others alone", function()
    run("agent_host", store_path, chat)
    run("agent_host", store_path, chat, "--conversation", "tea-time")
    assert.are.equal(2, #stored(store_path))
    assert.are.equal(2, #stored(store_path, "tea-time"))
  end)

  it("reports code, layer and message of a layer that refuses, and stores nothing", function()
    local layer = folder .. "/closed.lua"
    write(layer, 'return {ops = {"add"}, handle = function(_, _, ctx) ctx:reject("tooLate", "we are closed") end}')
    local ran = run("agent_host", store_path, chat, "--use", layer)
    assert.are.equal(1, ran.status)
    assert.are.equal("agent_host: add: tooLate, from layer closed: we are closed\n", ran.err)
    assert.are.equal(0, #stored(store_path))
  end)

  it("leaves a reply as it was streamed where a layer refuses its content", function()
    local layer = folder .. "/closed.lua"
    write(layer, 'return {ops = {"updateContent"}, handle = function() error("no more room") end}')
    local ran = run("agent_host", store_path, chat, "--use", layer)
    assert.are.equal(1, ran.status)
    assert.is_truthy(ran.err:find("agent_host: batch: middleware, from layer closed: ops[0]: ", 1, true))
    assert.is_nil(ran.out:find("event: message_stop", 1, true))
    local message = replies(stored(store_path))[1]
    assert.are.same({"interrupted", "The kettle is on; I set two timers. ☕"}, {message.state, message.content})
  end)

  it("ends with 2 on wrong usage and with 3 where a layer or the store cannot be opened", function()
    assert.are.equal(2, run("agent_host", store_path).status)
    assert.are.equal(2, run("agent_host", store_path, chat, "--use").status)
    assert.are.equal(2, run("agent_host", store_path, chat, "--colour").status)
    assert.are.equal(2, run("agent_host", store_path, chat, "--drop", "0").status)
    assert.are.equal(2, run("agent_host", store_path, chat, "--cancel", "2nd").status)
    assert.are.equal(2, run("agent_host", store_path, chat, "--crash", "").status)
    assert.are.equal(0, run("agent_host", "--help").status)
    assert.are.equal(3, run("agent_host", store_path, chat, "--use", folder .. "/none.lua").status)
    assert.are.equal(3, run("agent_host", folder .. "/no/such/folder.db", chat).status)
  end)

  it("runs with every layer of examples/middleware", function()
    local layers = {}
    for path in output_of("ls examples/middleware/*.lua"):gmatch("[^\n]+") do
      layers[#layers + 1] = "--use"
      layers[#layers + 1] = path
    end
    assert.are.equal(8, #layers)
    local ran = run("agent_host", store_path, chat, table.unpack(layers))
    assert.are.equal(0, ran.status)
    assert.is_truthy(ran.err:find("info timestamps: reserve {", 1, true))
    local store <close> = holdfast.open(store_path)
    local conversation = store:getConversation{conversationId = "demo"}.conversation
    assert.are.equal("Play openai-chat-tea.chunks.txt", conversation.title)
    assert.are.equal("cli", conversation.originChannel)
    assert.are.equal("cli", stored(store_path)[1].metadata.userMessageChannel)
  end)
end)

describe("examples/middleware", function()
  local store

  before_each(function()
    store = holdfast.open(":memory:")
  end)

  after_each(function()
    store:close()
  end)

  local function use(name, config)
    store:use("examples/middleware/" .. name .. ".lua", config)
    store:createConversation{conversationId = "c"}
  end

  it("length_limit counts characters, and only those of users", function()
    use("length_limit", {maxCharacters = 5})
    store:add{conversationId = "c", role = "user", content = "äöüßé"}
    store:add{conversationId = "c", role = "assistant", content = "as long as it likes"}
    local ok, err = pcall(store.add, store, {conversationId = "c", role = "user", content = "sixsix"})
    assert.is_false(ok)
    assert.are.same({"tooLong", "length-limit"}, {err.code, err.layer})
    assert.are.equal(2, #store:list{conversationId = "c"}.messages)
  end)

  it("channel takes the host's word before its own default, and leaves the message's alone", function()
    use("channel", {channel = "web"})
    local function channel_of(op, context)
      op.op, op.conversationId, op.role, op.content = "add", "c", "user", "x"
      return store:exec(op, context).message.metadata.userMessageChannel
    end
    assert.are.equal("web", channel_of{})
    assert.are.equal("phone", channel_of({}, {channel = "phone"}))
    assert.are.equal("mail", channel_of{metadata = {userMessageChannel = "mail"}})
  end)

  it("title takes the first user message, shortened, and never changes a title", function()
    use("title", {maxCharacters = 7})
    store:add{conversationId = "c", role = "user", content = '[{"type":"text","text":"Grüße an\\nalle"}]'}
    store:add{conversationId = "c", role = "user", content = "another"}
    assert.are.equal("Grüße a…", store:getConversation{conversationId = "c"}.conversation.title)
    store:createConversation{conversationId = "d", title = "mine"}
    store:add{conversationId = "d", role = "user", content = "another"}
    assert.are.equal("mine", store:getConversation{conversationId = "d"}.conversation.title)
  end)

  it("timestamps passes results and errors on unchanged", function()
    use("timestamps")
    assert.are.equal("hi", store:add{conversationId = "c", role = "user", content = "hi"}.message.content)
    local ok, err = pcall(store.add, store, {conversationId = "none", role = "user", content = "hi"})
    assert.is_false(ok)
    assert.are.equal("notFound", err.code)
  end)
end)

describe("embed", function()
  before_each(function()
    folder = host.make_folder()
  end)

  after_each(host.clean)

  it("stores two messages with the metadata that its layer adds, and lists them", function()
    local path = folder .. "/embed.db"
    local ran = run("embed", path)
    assert.are.same({0, ""}, {ran.status, ran.err})
    assert.is_truthy(ran.out:find('Is the kettle on?  {"words":6}', 1, true))
    assert.are.equal(2, #stored(path, "greetings"))
    assert.are.equal(0, run("embed", path).status)
    assert.are.equal(4, #stored(path, "greetings"))
  end)

  it("reports a store that cannot be opened", function()
    local ran = run("embed", folder .. "/no/such/folder.db")
    assert.are.equal(1, ran.status)
    assert.is_truthy(ran.err:find("^embed: %a+: "))
  end)
end)
