-- secrets: finds secrets in text, be it whole or in pieces, and puts something else in their place.
--
--   local secrets = require "holdfast.secrets"
--   local clean, feed = secrets.cleaner({table.unpack(secrets.builtin)}, "[redacted]")
--   text, count = clean(text)
--   text, tail, held, count = feed(tail, delta, ending)
--
-- `feed` takes a text piece by piece, and gives what may be shown of it: all but what may be the beginning of a find.
-- However the text is cut, the pieces joined are what `clean` makes of the whole. `tail` is what it knows of the text so
-- far (nil: nothing yet), `held` how many bytes it holds back; with `ending` true there is no more to come. The work is in
-- proportion to the piece and what is held.
--
-- Each rule goes through the text by itself; where the finds of several overlap, one replacement takes the place of all.
-- A rule has
--   scan     its next find at or after a place: first and last byte, and where more may belong to it beyond the end of
--            the text, the pattern of that, or false where it is too short to count; the first byte alone where only
--            more text can tell
--   key      its name within a tail
--   hint     is in every find: a text without it, as most are, is not searched further
--   least    the length from which a find counts: it keeps ordinary words and short samples apart from keys
--   longest  a beginning that is still open after so many bytes counts as a find; of a pattern, the longest match
--
-- A find is replaced as soon as it is certain, whatever its length: of a key that goes on, the tail remembers only what
-- characters it has. So a secret does not leak for being long, and little is held.

local find, sub, byte = string.find, string.sub, string.byte

-- ---- Keys: a beginning, and a run of characters; or several runs, with dots between ----

local function scan_key(rule, text, at, ending)
  local size = #text
  while true do
    local first, last = find(text, rule.open, at)
    if first == nil then return nil end
    local dots = rule.dots
    at = dots > 0 and last + 1 or first + 1 -- a token that begins within the same run has the same end
    while dots > 0 do
      local _, stop = find(text, rule.dotted, last + 1)
      if stop == nil then break end
      last, dots = stop, dots - 1
    end
    if dots == 0 and last - first + 1 >= rule.least then return first, last, last == size and rule.run or nil end
    local open = last == size or dots > 0 and last + 1 == size and byte(text, size) == 0x2e
    if open and not ending then
      if size - first + 1 < rule.longest then return first end
      return first, size, rule.overrun
    end
  end
end

local beginnings = {} -- of the built-in rules, whole and in part

local function add_beginnings(names)
  for name in names:gmatch "[^,]+" do
    for size = 1, #name do beginnings[sub(name, 1, size)] = true end
  end
end

local function key(hint, names, pattern, characters, least)
  add_beginnings(names)
  return {
    scan = scan_key, key = hint, hint = hint, least = least, longest = least, dots = 0,
    open = "%f[%w]" .. pattern .. characters .. "+", run = "^" .. characters .. "*",
  }
end

local function token(hint, names, pattern, characters, least, longest)
  local rule = key(hint, names, pattern, characters, least)
  rule.dots, rule.longest = 2, longest
  rule.dotted, rule.overrun = "^%." .. characters .. "+", "^" .. sub(characters, 1, -2) .. "%.]*"
  return rule
end

-- ---- Private keys: a block between two lines ----

local HEAD = "%-%-%-%-%-BEGIN [%u ]-PRIVATE KEY%-%-%-%-%-"
local FOOT = "%-%-%-%-%-END [%u ]-PRIVATE KEY%-%-%-%-%-"

local function scan_block(rule, text, at, ending)
  local size = #text
  while true do
    local first, last = find(text, HEAD, at)
    if first == nil then break end
    local _, stop = find(text, FOOT, last + 1)
    if stop and stop - first + 1 >= rule.least then return first, stop end
    if stop == nil then
      if ending == "whole" then return nil end -- it may be spoken of
      if ending then return first, size end
      if size - first + 1 < rule.longest then return first end
      return first, size, FOOT
    end
    at = stop + 1
  end
  local first = not ending and find(text, "%-%-%-%-%-BEGIN [%u ]*%-*$", at) -- a head in part
  if first and size - first + 1 < rule.longest then return first end
end

local function block()
  add_beginnings "-----BEGIN "
  return {
    scan = scan_block, key = "-----BEGIN ", hint = "-----BEGIN ", least = 60, longest = 16384,
    back = 64, -- so much is kept of a block that outgrew `longest`, to see its last line
  }
end

-- ---- Patterns of the host's ----

local function is_within_character(text, at)
  local c = byte(text, at)
  return c ~= nil and c >= 0x80 and c < 0xc0
end

-- Where the text from `at` on begins with `start`, or may once there is more.
local function find_start(text, start, at)
  local first = find(text, start, at, true)
  for i = math.max(at, #text - #start + 2), first and 0 or #text do
    if sub(text, i) == sub(start, 1, #text - i + 1) then return i end
  end
  return first
end

-- A match is certain where the longest possible one, and the character behind it, could be seen.
local function scan_pattern(rule, text, at, ending)
  local size = #text
  local limit = ending and size or size - rule.longest
  local anchored = sub(rule.pattern, 1, 1) == "^"
  if anchored and at > 1 and (at > 2 or byte(text, 1) ~= 0) then return nil end
  while at <= limit do
    local first, last = find(text, rule.pattern, at)
    if first == nil or first > limit then
      at = limit + 1
    elseif last < first then
      at = first + 1
    elseif last - first + 1 < rule.least then
      return first, last, false
    else
      while is_within_character(text, first) do first = first - 1 end
      while is_within_character(text, last + 1) do last = last + 1 end
      return first, last
    end
    if anchored then return nil end
  end
  if ending or at > size then return nil end
  while is_within_character(text, at) do at = at - 1 end
  if rule.start then return find_start(text, rule.start, at) end
  return at
end

local known = {pattern = true, least = true, longest = true, start = true}

-- The rule of a pattern from a configuration, or nil and what is wrong with it.
local function rule_of(item, name)
  if type(item) == "string" then item = {pattern = item} end
  if type(item) ~= "table" or type(item.pattern) ~= "string" then
    return nil, "expected a Lua pattern, or {pattern = text, least = bytes, longest = bytes, start = text}"
  end
  for field in pairs(item) do
    if not known[field] then
      return nil, ("unknown field \"%s\": expected pattern, least, longest or start"):format(field)
    end
  end
  local least, longest, start = item.least or 1, item.longest or 256, item.start
  if math.type(least) ~= "integer" or least < 1 then return nil, "least: expected a whole number from 1 on" end
  if math.type(longest) ~= "integer" or longest < least or longest > 65536 then
    return nil, ("longest: expected a whole number from least, %d, to 65536"):format(least)
  end
  if start ~= nil and (type(start) ~= "string" or start == "" or #start > longest) then
    return nil, "start: expected the text that each match begins with, of at most `longest` bytes"
  end
  local good, why = pcall(find, "", item.pattern)
  if not good then return nil, why end
  return {scan = scan_pattern, key = name, pattern = item.pattern, least = least, longest = longest, start = start}
end

-- ---- Texts ----

-- Where the end of the text may be the beginning of a key or block.
local function find_beginning(text, from)
  local at = find(text, "[%-Aegrsx]", math.max(from, #text - 10))
  while at do
    if beginnings[sub(text, at)] and (byte(text, at) == 0x2d or find(text, "^%f[%w]", at)) then return at end
    at = find(text, "[%-Aegrsx]", at + 1)
  end
  return #text + 1
end

-- What each rule is at: {rule, at = where it goes on, more = the pattern of what belongs to its last find,
-- first, last, beyond = its next find}. A rule with nothing to say is left out. Also how far the text belongs to finds
-- of before, and from where on it is held.
local function look(rules, text, from, fresh, tail, ending)
  local places = type(tail) == "table" and tail.places or nil
  local cover, keep, walks = from - 1 + (places and tail.covered or 0), #text + 1, nil
  if not ending then keep = find_beginning(text, from) end
  for _, rule in ipairs(rules) do
    local place, at, more = places and places[rule.key], from, nil
    if type(place) == "string" then
      local _, last = find(text, place, math.max(from, fresh - (rule.back or 0)))
      last = last or #text
      if last == #text then
        more = place
        if rule.back and not ending then keep = math.min(keep, math.max(from, #text - rule.back + 1)) end
      end
      at, cover = last + 1, math.max(cover, last)
    elseif place then
      at = from + place
    end
    local first, last, beyond
    if at <= #text and (rule.hint == nil or find(text, rule.hint, at, true)) then
      first, last, beyond = rule.scan(rule, text, at, ending)
    end
    if first or more or at > from then
      walks = walks or {}
      walks[#walks + 1] = {rule = rule, at = at, more = more, first = first, last = last, beyond = beyond}
    end
  end
  return walks, cover, keep
end

-- The walk whose next find, or possible one, begins before `keep` and before those of the others.
local function foremost(walks, keep)
  local best
  for _, walk in ipairs(walks or {}) do
    if walk.first and walk.first < keep then best, keep = walk, walk.first end
  end
  return best
end

-- Goes through the text from `from` on: the parts that may be shown, how far it belongs to finds, from where on it is
-- held, and how many finds there were.
local function replace(text, walks, cover, keep, ending, replacement)
  local parts, count = {}, 0
  local walk = foremost(walks, keep)
  while walk do
    if walk.last == nil then
      keep = walk.first
      break
    end
    if walk.beyond ~= false then
      if walk.first > cover then
        parts[#parts + 1] = sub(text, cover + 1, walk.first - 1)
        parts[#parts + 1] = replacement
        count = count + 1
      end
      cover = math.max(cover, walk.last)
    end
    walk.at, walk.more = walk.last + 1, walk.beyond
    walk.first, walk.last, walk.beyond = walk.rule.scan(walk.rule, text, walk.at, ending)
    walk = foremost(walks, keep)
  end
  if cover < keep - 1 then parts[#parts + 1] = sub(text, cover + 1, keep - 1) end
  return table.concat(parts), cover, keep, count
end

local secrets = {
  rule_of = rule_of,
  builtin = {
    key("sk-", "sk-", "sk%-", "[%w_%-]", 20), -- OpenAI, Anthropic, Stripe
    key("k_live_", "sk_live_,rk_live_", "[rs]k_live_", "[%w]", 24), -- Stripe
    key("IA", "AKIA,ASIA", "A[KS]IA", "[%u%d]", 20), -- AWS access key id
    key("AIza", "AIza", "AIza", "[%w_%-]", 39), -- Google API key
    key("gh", "ghp_,gho_,ghu_,ghs_,ghr_", "gh[pousr]_", "[%w]", 30), -- GitHub
    key("github_pat_", "github_pat_", "github_pat_", "[%w_]", 40), -- GitHub
    key("glpat-", "glpat-", "glpat%-", "[%w_%-]", 20), -- GitLab
    key("xox", "xoxa-,xoxb-,xoxe-,xoxo-,xoxp-,xoxr-,xoxs-", "xox[abeoprs]%-", "[%w%-]", 20), -- Slack
    token("eyJ", "eyJ", "eyJ", "[%w_%-]", 40, 16384), -- JSON Web Token
    block(),
  },
}

-- A tail is the byte before what is held, which patterns may look at, and what is held; the byte is NUL where the text
-- begins. Where some of what is held is replaced already (`covered`), or a rule is further than its beginning, it is a
-- table {text, covered, places}; a place is a number of bytes, or the pattern of what a find goes on with.
function secrets.cleaner(rules, replacement)
  local function clean(text)
    local walks, cover, keep = look(rules, text, 1, 1, nil, "whole")
    if walks == nil then return text, 0 end
    local cleaned, _, _, count = replace(text, walks, cover, keep, "whole", replacement)
    return cleaned, count
  end

  local function feed(tail, delta, ending)
    local before = type(tail) == "table" and tail.text or tail or "\0"
    local text = before .. delta
    local walks, cover, keep = look(rules, text, 2, #before + 1, tail, ending)
    local shown, count
    shown, cover, keep, count = replace(text, walks, cover, keep, ending, replacement)
    local covered, places = math.max(0, cover - keep + 1), nil
    for _, walk in ipairs(walks or {}) do
      if walk.more or walk.at > keep then
        places = places or {}
        places[walk.rule.key] = walk.more or walk.at - keep
      end
    end
    local rest = sub(text, keep - 1)
    if covered > 0 or places then rest = {text = rest, covered = covered, places = places or {}} end
    return shown, rest, #text - keep + 1 - covered, count
  end

  return clean, feed
end

return secrets
