-- One slice of Tarantool's side of the peers: tarantool tarantool.lua FOLDER WAL_MODE SECONDS, the content in CONTENT.
-- Prints the adds per second. tarantool.sh says what is comparable.
-- luacheck: globals box

local clock = require "clock"
local fiber = require "fiber"

local FIBERS, TRIGGERS, WARM_UP = 64, 5, 0.15
local folder, wal_mode, seconds = arg[1], arg[2], tonumber(arg[3])
local content = assert(os.getenv "CONTENT", "the content is missing")

-- No `listen`: nobody can connect. No snapshots while it runs: all that is stored is in memory and in the log.
box.cfg {
  work_dir = folder, wal_mode = wal_mode, memtx_memory = 2 ^ 30, checkpoint_interval = 0, log = folder .. "/log",
  log_level = "warn",
}

local conversations = box.schema.space.create("conversations", {format = {
  {"id", "string"}, {"updated_at", "unsigned"}, {"last_message_at", "unsigned"},
}})
conversations:create_index("primary", {type = "hash", parts = {"id"}})
local messages = box.schema.space.create("messages", {format = {
  {"id", "string"}, {"conversation_id", "string"}, {"role", "string"}, {"created_at", "unsigned"}, {"state", "string"},
  {"content", "string"},
}})
messages:create_index("primary", {parts = {"id"}})
messages:create_index("by_conversation", {parts = {"conversation_id", "id"}})

for _ = 1, TRIGGERS do
  messages:before_replace(function(_, new) return new end)
end

local minted, last = 0, 0

-- Ids in the order of time.
local function mint(time)
  minted = minted + 1
  return ("%08x-%04x-7%03x-%04x-%012x"):format(math.floor(time / 65536), time % 65536, math.floor(minted / 4096) % 4096,
    0x8000 + minted % 4096, math.random(0, 2 ^ 31 - 1))
end

-- An add: the row of the message and the conversation's times, in one transaction, rising within the store.
local function add(conversation)
  last = math.max(math.floor(fiber.time() * 1000), last + 1)
  box.begin()
  messages:insert {mint(last), conversation, "user", last, "final", content}
  if conversations:update(conversation, {{"=", 2, last}, {"=", 3, last}}) == nil then
    box.rollback()
    error("there is no conversation " .. conversation)
  end
  box.commit()
end

-- The adds per second of all fibers, each in a conversation of its own.
local function measure(duration)
  local begun, done, fibers = clock.monotonic(), 0, {}
  for i = 1, FIBERS do
    fibers[i] = fiber.new(function()
      while clock.monotonic() < begun + duration do
        add("c" .. i)
        done = done + 1
      end
    end)
    fibers[i]:set_joinable(true)
  end
  for i = 1, FIBERS do
    local good, err = fibers[i]:join()
    if not good then error(err) end
  end
  return done / (clock.monotonic() - begun)
end

for i = 1, FIBERS do
  conversations:insert {"c" .. i, 0, 0}
end
local good, result = pcall(function()
  measure(WARM_UP) -- the compiler of Lua has traced the way by then
  return measure(seconds)
end)
if good then
  print(("%.1f"):format(result))
else
  io.stderr:write("tarantool: ", tostring(result), "\n")
end
os.exit(good and 0 or 1)
