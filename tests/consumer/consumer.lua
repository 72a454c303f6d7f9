-- A program in Lua that uses the installed Holdfast: a stock layer, a message, and a look at what was stored.
local holdfast = require "holdfast"

local path = assert(arg[1], "usage: consumer.lua STORE")
do
  local store <close> = holdfast.open(path)
  store:use("redact")
  store:createConversation{conversationId = "c1"}
  store:add{conversationId = "c1", role = "user", content = "hello"}
end

local store <close> = holdfast.open(path)
local messages = store:list{conversationId = "c1"}.messages
assert(#messages == 1 and messages[1].content == "hello", "expected one message, hello")
