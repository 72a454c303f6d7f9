-- Metadata: what nobody changed is stored and returned byte for byte, what was changed keeps its values.

local holdfast = require "holdfast"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local json, null = holdfast.json, holdfast.null

-- Equal in every value, in integer or float, in list or object, in null or absence.
local function same(a, b)
  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if b[key] == nil or not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return getmetatable(a) == getmetatable(b)
end

local touches = {
  none = "return function(op, next) return next(op) end",
  walks = [[
    local function walk(value)
      if type(value) ~= "table" then return end
      for key, item in pairs(value) do walk(key) walk(item) end
    end
    return function(op, next)
      walk(op.metadata)
      local result = next(op)
      walk(result.message.metadata)
      return result
    end]],
  puts_back = [[
    return function(op, next)
      op.metadata.extra = {1}
      op.metadata.extra = nil
      return next(op)
    end]],
  adds = "return function(op, next) op.metadata.extra = true return next(op) end",
  copies = [[
    local holdfast = require "holdfast"
    local function copy(value)
      if type(value) ~= "table" then return value end
      local twin = {}
      for key, item in pairs(value) do twin[key] = copy(item) end
      return getmetatable(value) and holdfast.list(twin) or twin
    end
    return function(op, next) op.metadata = copy(op.metadata) return next(op) end]],
}

describe("metadata:", function()
  after_each(support.clean)

  local texts = {
    '{"n": 9007199254740993, "f": 1.10, "e": {}, "l": [], "z": null}',
    '{ "n" : 9007199254740993,\t"f" :1.10 ,"e":{ },"l":[ ] , "z":null }',
    "{}", "{ }", '{"b":1,"a":2,"":3}',
    '{"min":-9223372036854775808,"max":9223372036854775807,"zero":-0,"fzero":-0.0}',
    '{"e":1E3,"small":5e-324,"huge":1.7976931348623157E+308,"third":0.3333333333333333,"one":1.0}',
    '{"esc":"\\u00fc\\/\\n\\ud83d\\ude00\\"","raw":"ü😀\127"}',
    '{"deep":[[[{"a":[{}]}]]],"mixed":[1,1.0,"1",true,null]}',
  }

  -- ---- Through the program ----

  local it_runs = support.program and it or pending

  -- The bytes of the metadata of each message after `layer`, from the answers of add and get and from the file.
  local function round_trip(layer)
    local path, script = support.path(), support.path ".lua"
    support.write(script, "local handle = (function(...) " .. touches[layer] .. "\nend)(...)\n" ..
                          "return {name = 'toucher', handle = handle, ops = {'add', 'reserve'}}")
    support.seed(support.open(nil, path)):close()
    local lines, found = {}, {}
    for i, text in ipairs(texts) do
      lines[2 * i - 1] = '{"op":"add","conversationId":"c1","role":"user","content":"x","messageId":"t' .. i ..
                         '","metadata":' .. text .. "}"
      lines[2 * i] = '{"op":"get","messageId":"t' .. i .. '"}'
    end
    local results, raw, status = support.run(path, lines, "--use redact --use '" .. script .. "' --use audit")
    assert.are.equal(0, status)
    for i = 1, #texts do
      local stored = results[2 * i].message.metadata
      local answered, got = raw[2 * i - 1], raw[2 * i]
      found[i] = {stored = stored, bytes = got:match '"metadata":({.*})}}$', answered = answered}
      assert.is_truthy(found[i].bytes, got)
      assert.is_truthy(answered:find('"metadata":' .. found[i].bytes, 1, true), answered)
    end
    return found
  end

  for _, layer in ipairs {"none", "walks", "puts_back"} do
    it_runs("comes back byte for byte through a layer that " .. layer, function()
      for i, found in ipairs(round_trip(layer)) do assert.are.equal(texts[i], found.bytes) end
    end)
  end

  for _, layer in ipairs {"adds", "copies"} do
    it_runs("comes back with the same values through a layer that " .. layer, function()
      for i, found in ipairs(round_trip(layer)) do
        local expected = json.decode(texts[i])
        if layer == "adds" then expected.extra = true end
        assert(same(expected, found.stored), texts[i] .. " became " .. found.bytes)
      end
    end)
  end

  it_runs("an update keeps the bytes of what it does not name", function()
    local path = support.path()
    support.seed(support.open(nil, path)):close()
    local _, raw, status = support.run(path, {
      '{"op":"add","conversationId":"c1","role":"user","content":"","messageId":"t1",' ..
      '"metadata":{"f":1.10 , "n": 9007199254740993,"gone":{"a":1},"e":[ ]}}',
      '{"op":"update","messageId":"t1","updates":{"gone":null,"new":[1.50]}}',
      '{"op":"get","messageId":"t1"}',
    })
    assert.are.equal(0, status)
    for _, part in ipairs {'"f":1.10', '"n": 9007199254740993', '"gone":null', '"e":[ ]', '"new":[1.50]'} do
      assert(raw[3]:find(part, 1, true), part .. " is not in " .. raw[3])
    end
  end)

  -- ---- From Lua ----

  it("of each op that bears an object comes back with the values it had", function()
    local store = support.seed(support.open())
    local value = json.decode(texts[1])
    store:updateConversation {conversationId = "c1", updates = value}
    assert(same(value, store:getConversation({conversationId = "c1"}).conversation.metadata))
    assert(same(value, store:createConversation({metadata = value}).conversation.metadata))
    assert(same(value, store:reserve({conversationId = "c1", role = "user", metadata = value}).message.metadata))
    store:update {messageId = "m1", updates = value}
    assert(same(value, store:get({messageId = "m1"}).message.metadata))
    assert(same(value, store:list({conversationId = "c1"}).messages[1].metadata))
  end)

  for layer, source in pairs(touches) do
    for _, form in ipairs {"function", "sandboxed"} do
      it(("keeps integers, floats, null, {} and [] through a %s layer that %s"):format(form, layer), function()
        local store = support.open()
        store:createConversation {conversationId = "c1"}
        if form == "function" then store:use(load(source)(), "toucher") else store:useString("toucher", source) end
        for _, text in ipairs(texts) do
          local expected = json.decode(text)
          local id = store:add({conversationId = "c1", role = "user", content = "", metadata = json.decode(text)}).message.id
          if layer == "adds" then expected.extra = true end
          assert(same(expected, store:get({messageId = id}).message.metadata), text)
        end
      end)
    end
  end

  it("survives a layer whatever it is made of", function()
    local seed = 1
    local function random(n)
      seed = seed * 48271 % 2147483647
      return seed % n + 1
    end
    local scalars = {
      0, -1, math.maxinteger, math.mininteger, 9007199254740993, 0.1, -0.0, 1e15, 1e16, 1e17, 123456789012345680.0,
      5e-324, math.pi, "", "ü", '"\\\n\127', true, false, null,
    }
    local function value(depth)
      local kind = depth > 0 and random(4) or 4
      local made = {}
      if kind == 1 then
        for i = 1, random(4) - 1 do made[i] = value(depth - 1) end
        return holdfast.list(made)
      elseif kind < 4 then
        for _ = 1, random(4) - 1 do made["k" .. random(9)] = value(depth - 1) end
        return made
      end
      return scalars[random(#scalars)]
    end
    local store = support.open()
    store:createConversation {conversationId = "c1"}
    store:useString("toucher", touches.adds)
    for _ = 1, 300 do
      local metadata = {v = value(4)}
      local id = store:add({conversationId = "c1", role = "user", content = "", metadata = metadata}).message.id
      metadata.extra = true
      assert(same(metadata, store:get({messageId = id}).message.metadata), json.encode(metadata))
    end
  end)

  it("a layer that changes the kind of a value, not its amount, changes what is stored", function()
    local store = support.open()
    store:createConversation {conversationId = "c1"}
    store:useString("kinds", [[
      local holdfast = require "holdfast"
      return function(op, next)
        op.metadata.n, op.metadata.f = 1.0, 2
        op.metadata.e, op.metadata.l = holdfast.list {}, {}
        op.metadata.z = nil
        return next(op)
      end]])
    local metadata = json.decode '{"n":1,"f":2.0,"e":{},"l":[],"z":null}'
    local id = store:add({conversationId = "c1", role = "user", content = "", metadata = metadata}).message.id
    local expected = json.decode '{"n":1.0,"f":2,"e":[],"l":{}}'
    assert(same(expected, store:get({messageId = id}).message.metadata))
  end)

  it("a table that came with one message does not bring its old bytes into another", function()
    local store = support.open()
    store:createConversation {conversationId = "c1"}
    store:add {conversationId = "c1", messageId = "m1", role = "user", content = "", metadata = {a = 1}}
    local kept = store:get({messageId = "m1"}).message.metadata
    kept.a = 2
    store:add {conversationId = "c1", messageId = "m2", role = "user", content = "", metadata = kept}
    assert.are.same({a = 2}, store:get({messageId = "m2"}).message.metadata)
    kept.a = 1
    store:add {conversationId = "c1", messageId = "m3", role = "user", content = "", metadata = kept}
    assert.are.same({a = 1}, store:get({messageId = "m3"}).message.metadata)
  end)

  -- ---- holdfast.json ----

  it("json.decode and json.encode agree on every text", function()
    for _, text in ipairs(texts) do assert(same(json.decode(text), json.decode(json.encode(json.decode(text))))) end
    assert.are.equal('[{},[],null,1,1.5,"a\\"b",true]',
                     json.encode {{}, holdfast.list {}, null, 1, 1.5, 'a"b', true})
    assert.are.equal("float", math.type(json.decode "1.0"))
    assert.are.equal("float", math.type(json.decode(json.encode(1e300))))
    assert.are.equal("float", math.type(json.decode(json.encode(2.0))))
    assert.are.equal("integer", math.type(json.decode "9007199254740993"))
    assert.are.equal(null, json.decode "null")
  end)

  it("a list remembers that it is one, and an unmarked empty table is an object", function()
    assert.are.equal("{}", json.encode {})
    assert.are.equal("[]", json.encode(holdfast.list {}))
    local list = json.decode "[1]"
    list[1] = nil
    assert.are.equal("[]", json.encode(list))
    assert.are.equal("[1,2]", json.encode {1, 2})
  end)

  it("json refuses what it cannot keep", function()
    for _, text in ipairs {"", "{", "[1,]", "{'a':1}", "01", "+1", ".5", "1.", "nul", "[1] 2", '"\\u0000"', "1e999",
                           '"\\ud800"', '{"a":1,"a":2}', '"\xFF"', "9223372036854775808", "\"\n\""} do
      local err = support.error_of(json.decode, text)
      assert.are.equal("invalid", err.code, text)
    end
    local cycle = {}
    cycle[1] = cycle
    for _, value in ipairs {cycle, print, {1, x = 2}, {[0] = 1}, 0 / 0, "\xFF"} do
      assert.are.equal("invalid", support.error_of(json.encode, value).code)
    end
  end)
end)
