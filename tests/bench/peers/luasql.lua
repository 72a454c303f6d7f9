-- LuaSQL's side of the peers: a store for messages as a competent user of LuaSQL writes it, with a chain of five
-- functions that pass the op on. Reads lines "CASE SECONDS" and answers each with the adds per second.
--   lua5.4 luasql.lua FOLDER, the content in CONTENT
--
-- Comparable: SQLite below, WAL, synchronous=NORMAL, the row of the message, an index on its id and one on its
-- conversation, the conversation's times, an id in the order of time, a transaction for an op or for a batch of 100.
-- Not comparable: LuaSQL has no prepared statements, so each text is quoted into SQL, which is compiled anew: that is
-- what its users pay. The chain has no sandbox, no budgets and no checks of what a layer hands on; nothing looks
-- whether the id is there; there is no foreign key. All of that spares it work.

local luasql = require "luasql.sqlite3"

local LAYERS, BATCH = 5, 100
local content = assert(os.getenv("CONTENT"), "the content is missing")
local connection = assert(luasql.sqlite3():connect(arg[1] .. "/luasql.db"))

local function execute(sql)
  local result = assert(connection:execute(sql))
  if type(result) == "userdata" then
    local row = result:fetch()
    result:close()
    return row
  end
  return result
end

execute "PRAGMA journal_mode = WAL"
execute "PRAGMA synchronous = NORMAL"
execute [[CREATE TABLE conversations (id TEXT PRIMARY KEY, updated_at INTEGER NOT NULL, last_message_at INTEGER)]]
execute [[CREATE TABLE messages (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL,
  role TEXT NOT NULL, created_at INTEGER NOT NULL, content TEXT NOT NULL)]]
execute [[CREATE INDEX messages_by_conversation ON messages (conversation_id)]]
execute [[INSERT INTO conversations VALUES ('c1', 0, NULL)]]

-- Lua's own clock has no fractions of a second.
local function seconds_now()
  return execute "SELECT (julianday('now') - 2440587.5) * 86400.0"
end

local minted = 0

local function mint(time)
  minted = minted + 1
  return ("%08x-%04x-7%03x-%04x-%012x"):format(time >> 16, time & 0xffff, minted >> 12 & 0xfff,
    0x8000 | minted & 0xfff, math.random(0, 0xffffffffffff))
end

local function store(op)
  local time = os.time() * 1000
  local id, conversation = mint(time), connection:escape(op.conversationId)
  execute(("INSERT INTO messages (id, conversation_id, role, created_at, content) VALUES ('%s', '%s', '%s', %d, '%s')")
    :format(id, conversation, connection:escape(op.role), time, connection:escape(op.content)))
  if execute(("UPDATE conversations SET updated_at = %d, last_message_at = %d WHERE id = '%s'")
      :format(time, time, conversation)) ~= 1 then
    error("there is no conversation " .. op.conversationId)
  end
  return {op = "add", message = {id = id, conversationId = op.conversationId, role = op.role, createdAt = time,
    content = op.content}}
end

local function pass(op, next)
  return next(op)
end

local chain = store
for _ = 1, LAYERS do
  local next = chain
  chain = function(op) return pass(op, next) end
end

-- A transaction of so many adds: all or nothing.
local function transact(count)
  execute "BEGIN IMMEDIATE"
  local good, err = pcall(function()
    for _ = 1, count do
      chain {op = "add", conversationId = "c1", role = "user", content = content}
    end
  end)
  execute(good and "COMMIT" or "ROLLBACK")
  if not good then error(err, 0) end
end

local batches = {["luasql-1"] = 1, ["luasql-batch-100"] = BATCH}

io.stdout:setvbuf "line"
print(("ready LuaSQL %s, %s"):format(luasql._VERSION:match "[%d.]+", _VERSION))
for line in io.lines() do
  local case, seconds = line:match "^(%S+) (%S+)$"
  local batch = assert(batches[case], "no such case")
  local begun, done, now = seconds_now(), 0
  repeat
    for _ = 1, batch == 1 and 20 or 1 do -- so that looking at the clock costs next to nothing
      transact(batch)
      done = done + batch
    end
    now = seconds_now()
  until now >= begun + tonumber(seconds)
  print(("%.1f"):format(done / (now - begun)))
end
