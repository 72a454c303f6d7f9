-- Changes of tables for test_same.c, the smallest that there are. What is compared at one look must never be taken for
-- unchanged where reading it tells otherwise.
--
-- engine.push(kind, text) gives a table that the engine made of JSON; engine.looks(kind, table) whether that is
-- unchanged at one look, engine.reads(kind, table) whether it is once it was read, nil where it cannot be. `kind` is
-- "object", "op" or "result"; the table is compared with the last that was pushed. engine.list marks a list.

local engine = ...
local null = engine.null

local checks = {}

-- Checks one state of the table; returns whether it was known at a look.
local function check(kind, value, text, what)
  local looks, reads = engine.looks(kind, value), engine.reads(kind, value)
  if looks and not reads then
    error(("%s: taken for unchanged, though reading it gives %s: %s"):format(what, tostring(reads), text), 0)
  end
  return looks, reads
end

-- ---- Changes one by one ----

-- {JSON of an object, the change, whether it still says the same}
local function is_cyclic(o) o.a = o end
local one_by_one = {
  {'{"a":1}', function(o) o.a = 1.0 end},
  {'{"a":1.0}', function(o) o.a = 1 end},
  {'{"a":0}', function(o) o.a = -0.0 end},
  {'{"a":0}', function(o) o.a = 0.0 end},
  {'{"a":-0}', function(o) o.a = 0 end},
  {'{"a":-0.0}', function(o) o.a = 0.0 end},
  {'{"a":1}', function(o) o.a = "1" end},
  {'{"a":"1"}', function(o) o.a = 1 end},
  {'{"a":1}', function(o) o.a = true end},
  {'{"a":true}', function(o) o.a = false end},
  {'{"a":false}', function(o) o.a = true end},
  {'{"a":false}', function(o) o.a = null end},
  {'{"a":false}', function(o) o.a = nil end},
  {'{"a":null}', function(o) o.a = nil end},
  {'{"a":null}', function(o) o.a = false end},
  {'{"a":null}', function(o) o.a = "null" end},
  {'{"a":null}', function(o) o.a = {} end},
  {'{}', function(o) o.a = null end},
  {'{"a":{}}', function(o) o.a = engine.list {} end},
  {'{"a":[]}', function(o) o.a = {} end},
  {'{"a":[]}', function(o) o.a = null end},
  {'{"a":[]}', function(o) o.a[1] = null end},
  {'{"a":[null]}', function(o) o.a[1] = nil end},
  {'{"a":[1]}', function(o) o.a[2] = null end},
  {'{"a":[1]}', function(o) o.a.a = 1 end},
  {'{"a":[1]}', function(o) o.a[0] = 1 end},
  {'{"a":[1,2]}', function(o) o.a[2] = nil end},
  {'{"a":[1,2]}', function(o) o.a[1], o.a[2] = 2, 1 end},
  {'{"a":[1,2]}', function(o) o.a[1], o.a[3] = nil, 1 end},
  {'{"a":[[],[]]}', function(o) o.a[2] = {} end},
  {'{"1":1}', function(o) o["1"], o[1] = nil, 1 end},
  {'{"a":1}', function(o) o[1] = 1 end},
  {'{"a":1}', function(o) o[1.5] = 1 end},
  {'{"a":1}', function(o) o[true] = 1 end},
  {'{"a":1}', function(o) o.b = 1 end},
  {'{"a":1}', function(o) o.a = nil end},
  {'{"a":1}', function(o) o.a, o.b = nil, 1 end},
  {'{"a":1}', function(o) o.a, o["a\0"] = nil, 1 end},
  {'{"a":1}', function(o) o.a, o["a\0b"] = nil, 1 end},
  {'{"a":1,"b":2}', function(o) o.a, o.b = 2, 1 end},
  {'{"a":{"b":1},"c":1}', function(o) o.a.b, o.a.c = nil, 1 end},
  {'{"a":"x"}', function(o) o.a = "y" end},
  {'{"a":"x"}', function(o) o.a = "x\0" end},
  {'{"a":"xy"}', function(o) o.a = "x\0" end},
  {'{"a":"x"}', function(o) o.a = "" end},
  {'{"a":""}', function(o) o.a = "\0" end},
  {'{"a":"x"}', function(o) o.a = {"x"} end},
  {'{"a":"x"}', function(o) o.a = {} end},
  {'{"a":"\\n"}', function(o) o.a = "\\n" end},
  {'{"a":"\\u0041"}', function(o) o.a = "\\u0041" end},
  {'{"\\u0041":1}', function(o) o["A"], o["\\u0041"] = nil, 1 end},
  {'{"a":"\\""}', function(o) o.a = "\\" end},
  {'{"a":"ä"}', function(o) o.a = "a\u{308}" end},
  {'{"a":9223372036854775807}', function(o) o.a = math.mininteger end},
  {'{"a":9223372036854775807}', function(o) o.a = 2.0 ^ 63 end},
  {'{"a":-9223372036854775808}', function(o) o.a = -2.0 ^ 63 end},
  {'{"a":-9223372036854775808}', function(o) o.a = math.maxinteger end},
  {'{"a":9007199254740993}', function(o) o.a = 9007199254740992 end},
  {'{"a":123456789012345678}', function(o) o.a = 123456789012345679 end},
  {'{"a":1234567890123456789}', function(o) o.a = 123456789012345678 end},
  {'{"a":1}', function(o) o.a = -1 end},
  {'{"a":1}', function(o) o.a = 0 / 0 end},
  {'{"a":1}', function(o) o.a = math.huge end},
  {'{"a":1e2}', function(o) o.a = 1 end},
  {'{"a":10}', function(o) o.a = 1 end},
  {'{"a":1}', function(o) o.a = 10 end},
  {'{"a":1}', is_cyclic},
  {'{"a":{}}', is_cyclic},
  {'{"a":{"a":{}}}', is_cyclic},
  {'{"a":[[]]}', function(o) o.a[1] = o.a end},
  {'{"a":{"b":{}},"c":{"b":1}}', function(o) o.c = o.a end},
  {'{"a":[{"b":[{"c":1}]}]}', function(o) o.a[1].b[1].c = 2 end},
  {'{"a":1}', function(o) o.a = function() end end},
  {'{"a":{"b":1}}', function(o) setmetatable(o.a, {__index = {b = 1}}).b = nil end},
  {'{"a":{}}', function(o) o.a.b = {} end},
  {'{"a":1}', function(o) o.a = 1 end, true},
  {'{"a":{"b":1},"c":{"b":1}}', function(o) o.c = o.a end, true},
  {'{"a":"\\n"}', function(o) o.a = "\n" end, true},
  {'{"a":[1,2]}', function(o) o.a = engine.list {1, 2} end, true},
  {'{"a":[]}', function(o) o.a = engine.list {} end, true},
  {' { "b" : 1 ,\t"a" : [ { } , [ ] ,\n null ] } ', function(o) o.c = 1 o.c = nil end, true},
  {'{"a":1234567890123456789}', function(o) o.a = 1234567890123456789 end, true},
  {'{"a":-0.0}', function(o) o.a = -0.0 end, true},
}

function checks.one_by_one()
  for i, case in ipairs(one_by_one) do
    local value = engine.push("object", case[1])
    case[2](value)
    local _, reads = check("object", value, case[1], "change " .. i)
    if (reads or false) ~= (case[3] or false) then
      error(("change %d: it reads %s: %s"):format(i, tostring(reads), case[1]), 0)
    end
  end
  return #one_by_one
end

-- What is known at a look.
function checks.plain()
  local texts = {
    "{}", "{ }", '{"a":1}', '{"a":[],"b":{},"c":null,"d":true,"e":false,"f":"","":"x"}',
    '{"a":-1,"b":0,"c":123456789012345678}',
    ' {\t"a" :\r[ 1 ,\n[ ] , { } ] } ', '{"a":{"b":{"c":{"d":[[[{"e":["\u{e4}\u{1f600}"]}]]]}}}}',
  }
  for _, text in ipairs(texts) do
    if not check("object", engine.push("object", text), text, "no change") then error("not known at a look: " .. text, 0) end
  end
  return #texts
end

-- Deeper than a look goes, and as deep as may be.
function checks.deep()
  for depth = 1, 64 do
    for _, change in ipairs {false, true} do
      local text = ('{"a":'):rep(depth - 1) .. '{"b":1}' .. ("}"):rep(depth - 1)
      local value = engine.push("object", text)
      local at = value
      while at.a do at = at.a end
      if change then at.b = 1.0 end
      local _, reads = check("object", value, text, "depth " .. depth)
      if reads == change then error("depth " .. depth, 0) end
    end
  end
  return 128
end

-- ---- Changes at random ----

local random = math.random

local function one_of(list) return list[random(#list)] end

local function blank() return random(4) == 1 and one_of {" ", "\t", "\n", "\r", "  "} or "" end

local function text_of(depth)
  local pick = random(depth > 0 and 12 or 8)
  if pick <= 3 then
    return one_of {"0", "1", "-1", "-0", "0.0", "-0.0", "1.0", "1e2", "1E+2", "12", "10", "9007199254740993", "0.1",
                   "123456789012345678", "999999999999999999", "-999999999999999999", "1234567890123456789",
                   "9223372036854775807", "-9223372036854775808", "5e-324"}
  elseif pick <= 6 then
    return '"' .. one_of {"", "a", "b", "aa", "\u{e4}", "\\n", "\\u0041", "\\\"", "\\\\", "1", "true", "null"} .. '"'
  elseif pick <= 8 then
    return one_of {"true", "false", "null"}
  end
  local parts = {}
  local keys = {'"a"', '"b"', '"c"', '"1"', '""', '"\\u0064"', '"op"'}
  for i = 1, random(0, 4) do
    local value = blank() .. text_of(depth - 1) .. blank()
    parts[i] = pick <= 10 and value or blank() .. table.remove(keys, random(#keys)) .. blank() .. ":" .. value
  end
  local inner = table.concat(parts, ",")
  return pick <= 10 and "[" .. inner .. "]" or "{" .. inner .. "}"
end

-- All places {table, key} in the table, and the tables in it.
local function places_in(value, places, tables)
  if tables[value] then return end
  tables[value] = true
  tables[#tables + 1] = value
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    places[#places + 1] = {value, key}
    if type(value[key]) == "table" then places_in(value[key], places, tables) end
  end
end

local function other(value, tables)
  local options = {null, false, true, "", "x", 0, 1, -0.0, {}, engine.list {}, 0 / 0, one_of(tables)}
  if math.type(value) == "integer" then
    for _, v in ipairs {value + 0.0, value + 1, -value, tostring(value), value ~ 1} do options[#options + 1] = v end
  elseif type(value) == "number" then
    for _, v in ipairs {-value, value // 1, value + 1, math.tointeger(value) or value} do options[#options + 1] = v end
  elseif type(value) == "string" then
    local at = random(0, #value)
    for _, v in ipairs {value .. "\0", value .. "x", value:sub(2), value:sub(1, at) .. "q" .. value:sub(at + 2),
                        value:upper(), tonumber(value) or value} do options[#options + 1] = v end
  elseif type(value) == "boolean" then
    options = {not value, tostring(value), null}
  elseif type(value) == "table" then
    local twin = {}
    for key, item in pairs(value) do twin[key] = item end
    options[#options + 1] = twin
    options[#options + 1] = engine.list(twin)
    options[#options + 1] = setmetatable({}, {__index = value})
  end
  return one_of(options)
end

local function change(value)
  local places, tables = {}, {}
  places_in(value, places, tables)
  local pick = random(10)
  if pick <= 6 and #places > 0 then
    local place = one_of(places)
    place[1][place[2]] = other(place[1][place[2]], tables)
  elseif pick == 7 and #places > 0 then
    local place = one_of(places)
    place[1][place[2]] = nil
  elseif pick == 8 and #places > 0 then
    local a, b = one_of(places), one_of(places)
    a[1][a[2]], b[1][b[2]] = b[1][b[2]], a[1][a[2]]
  elseif pick == 9 and #places > 0 then
    local place = one_of(places)
    local item = place[1][place[2]]
    place[1][place[2]] = nil
    place[1][type(place[2]) == "string" and place[2] .. one_of {"", "\0", "x"} or tostring(place[2])] = item
  else
    local at = one_of(tables)
    at[one_of {"a", "b", 1, 2, "", #at + 1, 0.5}] = one_of {null, {}, 1, "x"}
  end
end

-- Returns how many were checked, how many were known at a look, and how many had changed.
function checks.random(seed, count)
  math.randomseed(seed)
  local known, changed = 0, 0
  for _ = 1, count do
    local text = "{" .. '"x":' .. text_of(5) .. "}"
    local value = engine.push("object", text)
    for _ = 1, random(0, 2) do change(value) end
    local looks, reads = check("object", value, text, "seed " .. seed)
    known = known + (looks and 1 or 0)
    changed = changed + (reads and 0 or 1)
  end
  return count, known, changed
end

local message = '{"id":"m1","conversationId":"c1","role":"user","content":"one","createdAt":7,"state":"final",' ..
                '"metadata":{"a":[1,{"b":null}]}}'
local conversation = '{"id":"c1","title":"t","createdAt":1,"updatedAt":2,"metadata":{},"attention":{"unseen":true}}'
local records = {
  op = {
    '{"op":"add","conversationId":"c1","role":"user","content":"one","messageId":"m1","metadata":{"a":[]},' ..
      '"addOptions":{"skipIndexing":true},"syncToDisk":false,"createdAtMs":5}',
    '{"op":"list","conversationId":"c1","limit":5,"states":["final","reserved"]}',
    '{"op":"append","messageId":"m1","delta":"x","seq":1}',
    '{"op":"updateContent","messageId":"m1","content":"x","index":false}',
    '{"op":"update","messageId":"m1","updates":{"a":1}}',
    '{"op":"search","query":"x","limit":1}',
    '{"op":"batch","ops":[{"op":"add","conversationId":"c1","role":"user","content":"one","messageId":"m1"},' ..
      '{"op":"delete","messageId":"m2"},{"op":"delete","messageId":"m2"},' ..
      '{"op":"update","messageId":"m1","updates":{"b":[{}]}}]}',
  },
  result = {
    '{"op":"add","message":' .. message .. ',"deduplicated":true}',
    '{"op":"list","messages":[' .. message .. "," .. message .. '],"hasMore":false}',
    '{"op":"delete","deleted":true,"segmentIds":["s1","s2"],"deletedSummaryIds":[]}',
    '{"op":"read","deltas":[{"seq":1,"delta":"x"},{"seq":2,"delta":"y"}],"state":"streaming","seq":2}',
    '{"op":"search","hits":[{"message":' .. message .. ',"snippet":"one","score":0.0}]}',
    '{"op":"createConversation","conversation":' .. conversation .. "}",
    '{"op":"updateContent"}', '{"op":"get"}',
    '{"op":"batch","results":[{"op":"add","message":' .. message .. '},{"op":"update"},' ..
      '{"op":"delete","deleted":false,"segmentIds":[],"deletedSummaryIds":[]}]}',
  },
}

function checks.records(seed, count)
  math.randomseed(seed)
  local known, changed, done = 0, 0, 0
  for _, kind in ipairs {"op", "result"} do
    for _, text in ipairs(records[kind]) do
      if not check(kind, engine.push(kind, text), text, "no change") then error("not known at a look: " .. text, 0) end
      for _ = 1, count do
        local value = engine.push(kind, text)
        for _ = 1, random(1, 2) do change(value) end
        local looks, reads = check(kind, value, text, "seed " .. seed)
        known = known + (looks and 1 or 0)
        changed = changed + (reads and 0 or 1)
        done = done + 1
      end
    end
  end
  return done, known, changed
end

return checks
