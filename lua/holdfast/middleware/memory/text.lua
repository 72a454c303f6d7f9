-- text: what memory's search sees of a content, and whether that has the words of a query.

local holdfast = require "holdfast"

local text = {}

-- Whatever is no letter or digit parts words. Beyond ASCII all counts as a letter, and its case as it is.
local function plain(given)
  local spaced = (" " .. given .. " "):lower():gsub("[^%w\128-\255]+", " ")
  return spaced
end

-- Of a JSON array of blocks the text of its blocks, of anything else the whole.
local function flatten(content)
  if not content:find "^%s*%[" then return content end
  local good, blocks = pcall(holdfast.json.decode, content)
  if not good then return content end
  local texts = {}
  for _, block in ipairs(blocks) do
    if type(block) ~= "table" or type(block.type) ~= "string" then return content end
    if block.type == "text" and type(block.text) == "string" then texts[#texts + 1] = block.text end
  end
  return table.concat(texts, "\n")
end

-- The text of a content; nil where that has none.
function text.of(content)
  local flat = flatten(content)
  return flat ~= "" and flat or nil
end

local operators = {AND = true, OR = true, NOT = true, ["+"] = true}

-- What a query asks for, word by word; nil where it has no words, or operators among them.
function text.words(query)
  local words = {}
  for word in query:gmatch "%S+" do
    if operators[word] or word:find '["()]' or word:find "^%^." or word:find ".%*$" then return nil end
    local asked = plain(word)
    if asked ~= " " then words[#words + 1] = asked end
  end
  return #words > 0 and words or nil
end

-- Whether each of the words is in the text, as a whole word.
function text.has(given, words)
  local searched = plain(given)
  for _, word in ipairs(words) do
    if not searched:find(word, 1, true) then return false end
  end
  return true
end

-- The beginning of a text, not cut within a character.
function text.cut(given)
  local limit = 64
  if #given <= limit then return given end
  while given:byte(limit + 1) & 0xC0 == 0x80 do limit = limit - 1 end
  return given:sub(1, limit) .. "…"
end

return text
