-- redact: keeps secrets out of the store.
--
-- Looks through every text of a write - content, deltas, title, reason, and the texts within metadata - and puts
-- `replacement` in the place of what it finds. Texts without a find stay as they are, byte for byte.
--
-- Configuration (all optional):
--   replacement  text     what takes a secret's place; default "[redacted]"
--   patterns     list     further patterns, each a Lua pattern or {pattern = …, least = …, longest = …, start = …}
--   defaults     boolean  whether the built-in patterns are used; default true
--
--   pattern      text     a Lua pattern; on a stream, ^ and $ mean the beginning and the end of the whole text
--   least        bytes    the length from which a match counts; default 1
--   longest      bytes    of the longest match that it can make; default 256, at most 65536
--   start        text     what each match begins with, as it is written; default: anything
--
-- On a stream a secret may be split over deltas. What may be the beginning of one is held back: it goes on with the next
-- `append` that tells, or an `abort`; `updateContent` drops it. `held` in append's answer says how many bytes are held.
--   - Of the built-in patterns, only a text that ends in what may be a beginning is held, and a key is replaced once it is
--     long enough to be one: at most 39 bytes are held. A JSON Web Token is held until its second dot, a private key until
--     its last line, each up to 16 KiB; if it is still not done, it counts as found, and the rest of it is dropped.
--   - A pattern of yours is decided once `longest` bytes behind the beginning of a match were seen: so many bytes are
--     always held; with `start`, only from a place where that stands, or may stand.
--   - The stored deltas, joined, are what the whole text would be stored as, if no match is longer than `longest`. Of one
--     that is longer, what had come by then is replaced, and the rest is looked at as new text.
--   - A private key without its last line is left as it is in a whole text, which may speak of it, and is replaced at the
--     end of a stream that is aborted.
--
-- Where finds of several patterns overlap, one replacement takes the place of all of them.
-- Writes to the log: one record for an op in which it found something, with the count, never the text.

local holdback = require "holdfast.holdback"
local secrets = require "holdfast.secrets"

local config = ...

local rules = {}
if config.defaults ~= false then table.move(secrets.builtin, 1, #secrets.builtin, 1, rules) end
for i, item in pairs(config.patterns or {}) do
  local name = ("patterns[%s]"):format(i)
  if math.type(i) ~= "integer" then error(("redact: %s: expected a list"):format(name), 0) end
  local rule, why = secrets.rule_of(item, name)
  if rule == nil then error(("redact: %s: %s"):format(name, why), 0) end
  rules[#rules + 1] = rule
end

local clean, feed = secrets.cleaner(rules, config.replacement or "[redacted]")

-- Cleans every text below a table in place: names stay, values change.
local function clean_table(value)
  local total = 0
  for key, item in pairs(value) do
    local count = 0
    if type(item) == "string" then
      item, count = clean(item)
      if count > 0 then value[key] = item end
    elseif type(item) == "table" then
      count = clean_table(item)
    end
    total = total + count
  end
  return total
end

local function log(op, ctx, count)
  if count == 0 then return end
  ctx:log("info", "redacted", {op = op.op, messageId = op.messageId, conversationId = op.conversationId, count = count})
end

local fields = {"content", "title", "reason", "metadata", "updates"}

local function clean_op(op, ctx)
  local total = 0
  for _, field in ipairs(fields) do
    local value, count = op[field], 0
    if type(value) == "string" then
      op[field], count = clean(value)
    elseif type(value) == "table" then
      count = clean_table(value)
    end
    total = total + count
  end
  log(op, ctx, total)
end

local on = holdback(function(tail, delta, op, ctx)
  local text, rest, held, count = feed(tail, delta, op.op == "abort")
  log(op, ctx, count)
  return text, rest, held
end)

local cleaned = {"createConversation", "updateConversation", "add", "reserve", "updateContent", "update", "abort", "fork"}
for _, name in ipairs(cleaned) do
  local go_on = on[name]
  on[name] = function(op, next, ctx)
    clean_op(op, ctx)
    if go_on then return go_on(op, next, ctx) end
    return next(op)
  end
end

return {
  name = "redact",
  schema = {
    replacement = {type = "text", doc = "what takes a secret's place"},
    patterns = {type = "list", doc = "further Lua patterns, each a text or {pattern, least, longest, start}"},
    defaults = {type = "boolean", doc = "whether the built-in patterns are used"},
  },
  on = on,
}
