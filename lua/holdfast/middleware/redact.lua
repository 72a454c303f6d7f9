-- redact: keeps secrets out of the store.
--
-- Looks through every text of a write - content, title, and the texts within metadata - and puts
-- `replacement` in the place of what it finds. Texts without a find stay as they are, byte for byte.
--
-- Configuration (all optional):
--   replacement  text     what takes a secret's place; default "[redacted]"
--   patterns     list     further Lua patterns, each a text or {pattern = text, least = bytes}
--   defaults     boolean  whether the built-in patterns are used; default true
--
-- Writes to the log: one record for an op in which it found something, with the count, never the text.

local config = ...
local replacement = config.replacement or "[redacted]"

-- `least` is the length from which a find counts: it keeps ordinary words and short samples apart from
-- keys, which are long. `hint` is in every find: a text without it, as most are, is not searched further.
local builtin = {
  {hint = "sk-", pattern = "%f[%w]sk%-[%w_%-]+", least = 20}, -- OpenAI, Anthropic, Stripe
  {hint = "k_live_", pattern = "%f[%w][rs]k_live_[%w]+", least = 24}, -- Stripe
  {hint = "IA", pattern = "%f[%w]A[KS]IA[%u%d]+", least = 20}, -- AWS access key id
  {hint = "AIza", pattern = "%f[%w]AIza[%w_%-]+", least = 39}, -- Google API key
  {hint = "gh", pattern = "%f[%w]gh[pousr]_%w+", least = 30}, -- GitHub
  {hint = "github_pat_", pattern = "%f[%w]github_pat_[%w_]+", least = 40}, -- GitHub
  {hint = "glpat-", pattern = "%f[%w]glpat%-[%w_%-]+", least = 20}, -- GitLab
  {hint = "xox", pattern = "%f[%w]xox[abeoprs]%-[%w%-]+", least = 20}, -- Slack
  {hint = "eyJ", pattern = "%f[%w]eyJ[%w_%-]+%.[%w_%-]+%.[%w_%-]+", least = 40}, -- JSON Web Token
  {hint = "PRIVATE KEY",
   pattern = "%-%-%-%-%-BEGIN [%u ]-PRIVATE KEY%-%-%-%-%-.-%-%-%-%-%-END [%u ]-PRIVATE KEY%-%-%-%-%-", least = 60},
}

local rules = {}
if config.defaults ~= false then
  for _, rule in ipairs(builtin) do rules[#rules + 1] = rule end
end
for i, rule in pairs(config.patterns or {}) do
  if type(rule) == "string" then rule = {pattern = rule} end
  local least = type(rule) == "table" and (rule.least or 1)
  if math.type(i) ~= "integer" or math.type(least) ~= "integer" or type(rule.pattern) ~= "string" then
    error(("redact: patterns[%s]: expected a Lua pattern, or {pattern = text, least = bytes}"):format(i), 0)
  end
  local good, why = pcall(string.find, "", rule.pattern)
  if not good then error(("redact: patterns[%s]: %s"):format(i, why), 0) end
  rules[#rules + 1] = {pattern = rule.pattern, least = least}
end

-- The text with its secrets replaced, and how many there were.
local function clean(text)
  local count = 0
  for _, rule in ipairs(rules) do
    if rule.hint == nil or text:find(rule.hint, 1, true) then
      text = text:gsub(rule.pattern, function(find)
        if #find < rule.least then return nil end
        count = count + 1
        return replacement
      end)
    end
  end
  return text, count
end

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

local fields = {"content", "title", "metadata", "updates"}

return {
  name = "redact",
  schema = {
    replacement = {type = "text", doc = "what takes a secret's place"},
    patterns = {type = "list", doc = "further Lua patterns, each a text or {pattern = text, least = bytes}"},
    defaults = {type = "boolean", doc = "whether the built-in patterns are used"},
  },
  ops = {"createConversation", "updateConversation", "add", "reserve", "updateContent", "update"},
  handle = function(op, next, ctx)
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
    if total > 0 then
      ctx:log("info", "redacted", {op = op.op, messageId = op.messageId, conversationId = op.conversationId,
                                   count = total})
    end
    return next(op)
  end,
}
