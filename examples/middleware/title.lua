-- Gives a conversation without a title the beginning of its first user message.
--
-- config.maxCharacters   length of a title (default 40)
--
-- ctx:exec runs further ops in the transaction of this one, through the layers below: the message and the
-- title are stored together or not at all. ctx.state saves asking again about a conversation that is known
-- to have its title; it is memory only, and forgotten when the store is closed.

local json = require "holdfast.json"

local config = ...
local limit = config and config.maxCharacters or 40

-- The text of a message: content is a list of blocks, or plain text.
local function text_of(content)
  local is_json, blocks = pcall(json.decode, content)
  if not is_json or type(blocks) ~= "table" then return content end
  local parts = {}
  for _, block in ipairs(blocks) do
    if type(block) == "table" and block.type == "text" then parts[#parts + 1] = block.text end
  end
  return table.concat(parts, " ")
end

local function shorten(text)
  text = text:gsub("%s+", " ")
  local cut = utf8.offset(text, limit + 1)
  if cut == nil or cut > #text then return text end
  return text:sub(1, cut - 1) .. "…"
end

return {
  name = "title",
  on = {
    add = function(op, next, ctx)
      local result = next(op)
      local id = op.conversationId
      if op.role ~= "user" or ctx.state[id] then return result end
      local conversation = ctx:exec{op = "getConversation", conversationId = id}.conversation
      local title = shorten(text_of(op.content))
      if conversation.title == nil and title ~= "" then
        ctx:exec{op = "updateConversation", conversationId = id, title = title}
      end
      ctx.state[id] = true
      return result
    end,
  },
}
