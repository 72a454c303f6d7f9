-- What the specs share: stores that close themselves, errors caught as tables, and the program.
--
-- HOLDFAST_GC=stress keeps this state's collector at work all the time; HOLDFAST_PROGRAM names the program.

local holdfast = require "holdfast"

if os.getenv "HOLDFAST_GC" == "stress" then
  collectgarbage("incremental", 1, 1000, 1)
  collectgarbage("setpause", 0)
end

local support = {}

local stores, paths = {}, {}

-- A store in memory, or in the file at `path`; support.clean closes it.
function support.open(options, path)
  local store = holdfast.open(path or ":memory:", options)
  stores[#stores + 1] = store
  return store
end

-- A clock that goes on by 1 ms at each look.
function support.clock()
  local time = 1000
  return function()
    time = time + 1
    return time
  end
end

-- A path where there is no file, in a folder for temporary files; support.clean removes what comes there.
function support.path(ending)
  local path = os.tmpname()
  os.remove(path)
  path = path .. (ending or ".db")
  paths[#paths + 1] = path
  return path
end

function support.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

function support.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  return text
end

function support.clean()
  for _, store in ipairs(stores) do store:close() end
  for _, path in ipairs(paths) do
    for _, ending in ipairs {"", "-wal", "-shm"} do os.remove(path .. ending) end
  end
  stores, paths = {}, {}
end

-- The error table that the call raises.
function support.error_of(call, ...)
  local good, err = pcall(call, ...)
  if good then error("expected an error, but the call succeeded", 2) end
  if type(err) ~= "table" then error("expected an error table, found: " .. tostring(err), 2) end
  return err
end

-- All that a store holds, as one text; opens the store where it is given a path.
function support.snapshot(store)
  if type(store) == "string" then
    local opened <close> = holdfast.open(store)
    return support.snapshot(opened)
  end
  local rows = {}
  for _, conversation in ipairs(store:listConversations({limit = 1000000}).conversations) do
    local messages = store:list({conversationId = conversation.id, limit = 1000000}).messages
    rows[#rows + 1] = {conversation = conversation, messages = messages}
  end
  return holdfast.json.encode(holdfast.list(rows))
end

-- A log function for the options, and the list of {level, layer, message, fields} that it fills.
function support.recorder()
  local records = {}
  return function(level, layer, message, fields)
    records[#records + 1] = {level = level, layer = layer, message = message, fields = fields}
  end, records
end

-- ---- Any op ----

local values = {
  conversationId = "c1", messageId = "m1", role = "user", content = "hello", updates = {seen = true},
  delta = "hel", query = "hello",
  ops = {{op = "add", conversationId = "c1", role = "user", content = "in a batch"}},
}

function support.seed(store)
  store:createConversation {conversationId = "c1", title = "first"}
  store:add {conversationId = "c1", messageId = "m1", role = "user", content = "one"}
  return store
end

-- What the samples refer to.
function support.seed_samples(store)
  support.seed(store):reserve {conversationId = "c1", messageId = "a1", role = "assistant"}
  return store
end

-- An op of that name with the fields that it must have, found by asking the engine what is missing.
function support.sample(name)
  local store <close> = support.seed_samples(holdfast.open ":memory:")
  local op = {op = name}
  while true do
    local good, err = pcall(store.exec, store, op)
    if not good and err.code == "conflict" and op.messageId ~= "a1" then
      op.messageId = "a1" -- an op for anchors
    else
      local field = not good and err.message:match "field \"(%w+)\".- is missing"
      if not field then return op end
      op[field] = assert(values[field], "support.lua has no value for the field " .. field)
    end
  end
end

-- ---- The program ----

local function find_program()
  local path = os.getenv "HOLDFAST_PROGRAM" or "build/default/holdfast"
  local file = io.open(path, "rb")
  if file then file:close() end
  return file and path
end

support.program = find_program()

-- What `holdfast run PATH arguments` answers to lines of JSON, decoded and as they are, and its exit status.
function support.run(path, lines, arguments)
  local input, errors = support.path ".jsonl", support.path ".err"
  support.write(input, table.concat(lines, "\n") .. "\n")
  local command = ("'%s' run %s '%s' '%s' 2>'%s'"):format(support.program, arguments or "", path, input, errors)
  local pipe = assert(io.popen(command))
  local raw, results = {}, {}
  for line in pipe:lines() do
    raw[#raw + 1] = line
    results[#results + 1] = holdfast.json.decode(line)
  end
  local _, _, status = pipe:close()
  return results, raw, status
end

return support
