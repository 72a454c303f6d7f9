#!lua name=peers
-- FCALL add 2 MESSAGE CONVERSATION ROLE CONTENT TIME: stores the message, puts its id at the end of the conversation's
-- list, and updates the conversation. The key of the message is its id.
-- luacheck: globals redis

local function add(keys, args)
  local message, conversation = keys[1], keys[2]
  redis.call("HSET", message, "conversationId", conversation, "role", args[1], "content", args[2], "createdAt", args[3],
    "state", "final")
  redis.call("RPUSH", conversation .. ":messages", message)
  redis.call("HSET", conversation, "updatedAt", args[3], "lastMessageAt", args[3])
  return message
end

redis.register_function("add", add)
