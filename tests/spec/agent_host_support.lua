-- What the specs of the agent host share: running it, and reading streams without it.

local holdfast = require "holdfast"
local json = holdfast.json

local build = os.getenv("HOLDFAST_BUILD_DIR") or "build/default"

local host = {
  anthropic = "examples/data/streams/anthropic-weather.chunks.txt",
  chat = "examples/data/streams/openai-chat-tea.chunks.txt",
  key = "examples/data/streams/openai-chat-key.chunks.txt",
  responses_api = "examples/data/streams/openai-responses-sums.chunks.txt",
}

-- ---- Files and programs ---------------------------------------------------------------------------

function host.quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

function host.output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

function host.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

function host.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- A folder for the files of one test, in `host.folder` until host.clean removes it.
function host.make_folder()
  host.folder = host.output_of("mktemp -d"):match("[^\n]+")
  return host.folder
end

function host.clean()
  os.execute("rm -rf " .. host.quote(host.folder))
end

function host.run(program, ...)
  local words = {host.quote(build .. "/examples/" .. program)}
  for _, word in ipairs{...} do words[#words + 1] = host.quote(word) end
  local out, err = host.folder .. "/out", host.folder .. "/err"
  local _, _, status = os.execute(table.concat(words, " ") .. " >" .. host.quote(out) .. " 2>" .. host.quote(err))
  return {status = status, out = host.read(out), err = host.read(err)}
end

-- The answers of the program to ops, each a table.
function host.ask(store_path, ...)
  local lines = {}
  for i, op in ipairs{...} do lines[i] = json.encode(op) .. "\n" end
  local path = host.folder .. "/ops"
  host.write(path, table.concat(lines))
  local command = host.quote(build .. "/holdfast") .. " run " .. host.quote(store_path) .. " " .. host.quote(path)
  local answers = {}
  for line in host.output_of(command .. " 2>/dev/null"):gmatch("[^\n]+") do answers[#answers + 1] = json.decode(line) end
  return table.unpack(answers)
end

function host.stored(store_path, conversation)
  local store <close> = holdfast.open(store_path)
  return store:list{conversationId = conversation or "demo", limit = 1000}.messages
end

function host.replies(messages)
  local found = {}
  for _, message in ipairs(messages) do
    if message.role == "assistant" then found[#found + 1] = message end
  end
  return found
end

function host.events_of(out)
  local events = {}
  local stream = out:match("^(.-)%-%-%- conversation ") or out
  for event, data in stream:gmatch("event: ([^\n]*)\ndata: ([^\n]*)\n\n") do
    events[#events + 1] = {event = event, data = json.decode(data)}
  end
  return events, stream
end

-- ---- What a stream holds, read from its chunks without the program -------------------------------------

function host.chunks_of(path)
  local chunks = {}
  for line in io.lines(path) do
    if line:find("%S") then chunks[#chunks + 1] = json.decode(line) end
  end
  return chunks
end

local function value(maybe_null)
  if maybe_null == holdfast.null then return nil end
  return maybe_null
end

-- For each response, in order: its text, the pieces in which that came, and the inputs of its tools by the id of
-- the call.
function host.expected_of(chunks)
  local responses, chat_id, calls = {}, nil, {}
  local function last() return responses[#responses] end
  local function begin()
    responses[#responses + 1] = {text = "", pieces = {}, inputs = {}}
    calls = {}
  end
  local function say(text)
    local response = last()
    response.text = response.text .. text
    if text ~= "" then response.pieces[#response.pieces + 1] = text end
  end
  for _, chunk in ipairs(chunks) do
    local kind, delta = chunk.type, value(chunk.delta)
    if kind == "message_start" or kind == "response.created" then begin() end
    if kind == "content_block_start" and chunk.content_block.id then
      calls[chunk.index] = chunk.content_block.id
      last().inputs[chunk.content_block.id] = ""
    elseif kind == "content_block_delta" and delta.type == "text_delta" then
      say(delta.text)
    elseif kind == "content_block_delta" and delta.type == "input_json_delta" then
      local id = calls[chunk.index]
      last().inputs[id] = last().inputs[id] .. delta.partial_json
    elseif kind == "response.output_text.delta" then
      say(delta)
    elseif kind == "response.output_item.added" and chunk.item.type == "function_call" then
      calls[chunk.output_index] = chunk.item.call_id
      last().inputs[chunk.item.call_id] = ""
    elseif kind == "response.function_call_arguments.delta" then
      local id = calls[chunk.output_index]
      last().inputs[id] = last().inputs[id] .. delta
    end
    for _, choice in ipairs(chunk.choices or {}) do
      if chunk.id ~= chat_id then
        chat_id = chunk.id
        begin()
      end
      say(value(choice.delta.content) or "")
      for _, call in ipairs(value(choice.delta.tool_calls) or {}) do
        if call.id then
          calls[call.index] = call.id
          last().inputs[call.id] = ""
        end
        local id = calls[call.index]
        last().inputs[id] = last().inputs[id] .. call["function"].arguments
      end
    end
  end
  return responses
end

function host.types_of(message)
  local types = {}
  for i, block in ipairs(json.decode(message.content)) do types[i] = block.type end
  return types
end

function host.streams()
  local found = {}
  local list = host.output_of("ls -d examples/data/streams/*.chunks.txt ../shared/data/streams/*.chunks.txt 2>/dev/null")
  for path in list:gmatch("[^\n]+") do
    found[#found + 1] = path
  end
  return found
end

return host
