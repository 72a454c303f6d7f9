-- Redaction that holds on a stream: the finder (holdfast.secrets), the tails (holdfast.holdback), and the stock layer on
-- files, whose bytes are searched.

local holdback = require "holdfast.holdback"
local secrets = require "holdfast.secrets"
local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

-- Put together here, so that no scanner takes them for real ones.
local function letters(count) return ("aB3dE5gH"):rep(count // 8 + 1):sub(1, count) end

local samples = {
  "sk-" .. letters(20), "sk-ant-api03-" .. letters(24), "sk_live_" .. letters(24), "rk_live_" .. letters(24),
  "AKIA" .. ("A1"):rep(8), "ASIA" .. ("A1"):rep(8), "AIza" .. letters(35), "ghp_" .. letters(36), "ghs_" .. letters(36),
  "github_pat_" .. letters(40), "glpat-" .. letters(20), "xoxb-123456789012-" .. letters(12), "xoxp-" .. letters(20),
  "eyJ" .. letters(16) .. "." .. letters(16) .. "." .. letters(16),
  "-----BEGIN RSA PRIVATE KEY-----\n" .. letters(32) .. "\n-----END RSA PRIVATE KEY-----",
  "-----BEGIN PRIVATE KEY-----\\n" .. letters(32) .. "\\n-----END PRIVATE KEY-----",
}
local effort = os.getenv "HOLDFAST_GC" and 1 or 10 -- where the collector is kept at work, all takes longer
local needles = {"aB3dE", "A1A1A1", "123456789012"}
local BLOCK = "%-%-%-%-%-BEGIN [%u ]-PRIVATE KEY%-%-%-%-%-"

-- Where a text may be cut: after each whole character but the last.
local function cuts(text)
  local found = {}
  for at in utf8.codes(text) do found[#found + 1] = at > 1 and at - 1 or nil end
  return found
end

-- ---- Finding ----

local function rules(patterns, defaults)
  local found = defaults == false and {} or {table.unpack(secrets.builtin)}
  for i, item in ipairs(patterns or {}) do found[#found + 1] = assert(secrets.rule_of(item, "patterns[" .. i .. "]")) end
  return found
end

-- What comes of a text in pieces: what was shown of each, the last one that of the end, and all of it as one.
local function in_pieces(feed, pieces)
  local tail, shown = nil, {}
  for i, piece in ipairs(pieces) do
    local held
    shown[i], tail, held = feed(tail, piece)
    assert.is_true(held >= 0 and held <= #table.concat(pieces, "", 1, i))
    assert.is_truthy(utf8.len(shown[i]), "a character was cut")
  end
  shown[#shown + 1] = feed(tail, "", true)
  return shown, table.concat(shown)
end

describe("a text in pieces", function()
  local host = {
    "%d%d%d%d%-%d+", {pattern = "%u+", least = 5, longest = 40}, {pattern = "key: %w+", longest = 60},
    {pattern = "%f[%w]acme_%w+", longest = 30, start = "acme_"}, {pattern = "^x+", longest = 5},
    {pattern = "B$", longest = 5}, {pattern = "ü.", longest = 4}, {pattern = "%d%d", least = 2, longest = 2},
    {pattern = "%l*", least = 7, longest = 50}, {pattern = "世", start = "世"}, {pattern = "%f[%d]12%f[%D]", longest = 2},
  }

  it("cut in two or three anywhere, shows no more of a secret than the whole does", function()
    local clean, feed = secrets.cleaner(rules(), "[redacted]")
    for _, secret in ipairs(samples) do
      local text = "key=" .. secret .. ". Grüße"
      assert.are.equal("key=[redacted]. Grüße", (clean(text)))
      for i, first in ipairs(cuts(text)) do
        local _, joined = in_pieces(feed, {text:sub(1, first), text:sub(first + 1)})
        assert.are.equal("key=[redacted]. Grüße", joined, text:sub(1, first))
        for j = i + 1, #cuts(text), 70 // effort do
          local second = cuts(text)[j]
          _, joined = in_pieces(feed, {text:sub(1, first), text:sub(first + 1, second), text:sub(second + 1)})
          assert.are.equal("key=[redacted]. Grüße", joined, text:sub(1, first) .. "|" .. text:sub(first + 1, second))
        end
      end
    end
  end)

  it("is what the whole is, however it is cut, whatever stands side by side", function()
    local words = {
      "sk-short", "sk-", "eyJ.a.b", "eyJabc.d", "ghp_", "ask-me", "-----BEGIN CERTIFICATE-----", "-----", "--------", "xoxb-1-",
      " ", ".", "-", "_", "a", "B", "ü", "世", "\u{1F680}", "1234", "12", "card 1234-5678", "ABCDE", "key: ", "\n", "x", "acme_",
      "acme_abc123", "A", "AK", "e", "ey", "s", "github_p", "-----BEGIN RSA PRIV", "-----END PRIVATE KEY-----",
    }
    table.move(samples, 1, #samples, #words + 1, words)
    local cleaners = {}
    for i, list in ipairs {rules(), rules(host), rules(host, false)} do
      cleaners[i] = {secrets.cleaner(list, "[redacted]")}
    end
    math.randomseed(7)
    for round = 1, 300 * effort do
      local clean, feed = table.unpack(cleaners[round % 3 + 1])
      local text = ""
      for _ = 1, math.random(8) do
        text = text .. words[math.random(#words)] .. (math.random(3) == 1 and words[math.random(10, 14)] or "")
      end
      local pieces, size, from = {}, ({1, 2, 5, 20, 60})[math.random(5)], 1
      for _, at in ipairs(cuts(text)) do
        if math.random(size) == 1 then pieces[#pieces + 1], from = text:sub(from, at), at + 1 end
        if math.random(10) == 1 then pieces[#pieces + 1] = "" end
      end
      pieces[#pieces + 1] = text:sub(from)
      local whole, shown, joined = clean(text), in_pieces(feed, pieces)
      if joined ~= whole and text:find(BLOCK) then -- a block without its last line goes, at the end of a stream
        assert.are.equal("[redacted]", joined:sub(-10), table.concat(pieces, "|"))
      else
        assert.are.equal(whole, joined, table.concat(pieces, "|") .. " -> " .. table.concat(shown, "|"))
      end
    end
  end)

  it("holds ordinary text back no longer than it takes to tell", function()
    local _, feed = secrets.cleaner(rules(), "[redacted]")
    for _, text in ipairs {
      "a task-oriented text.", "risk ", "ask-me", "disk", "xs", "1s", "2026-11-23", "gh ", "AK1", "sk.", "eyJ ", "-- ",
      "-----BEGIN CERTIFICATE-----\n", "-----BEGIN it", "sk-short ", "Grüß", "世", "eyJabc.def ", "",
    } do
      local shown, _, held = feed(nil, text)
      assert.are.equal(text, shown)
      assert.are.equal(0, held, text)
    end
    for text, expected in pairs {
      ["a s"] = 1, ["a sk"] = 2, ["a sk-"] = 3, ["a sk-abc"] = 6, ["github_pat"] = 10, ["AKI"] = 3, ["x ey"] = 2, ["--------"] = 5,
      ["eyJabc."] = 7, ["eyJabc.def"] = 10, ["-----BEGIN RSA PRIVATE KEY--"] = 28, ["-----BEGIN "] = 11,
      ["sk-" .. letters(16)] = 19, ["sk-" .. letters(17)] = 0,
    } do
      local _, _, held = feed(nil, text)
      assert.are.equal(expected, held, text)
    end
  end)

  it("knows a word's beginning from its middle across the cut", function()
    local _, feed = secrets.cleaner(rules(), "[redacted]")
    local _, joined = in_pieces(feed, {"ri", "sk-" .. letters(20)})
    assert.are.equal("risk-" .. letters(20), joined)
    _, joined = in_pieces(feed, {"ri-", "sk-" .. letters(20)})
    assert.are.equal("ri-[redacted]", joined)
  end)

  it("of a secret without end keeps little, and shows nothing", function()
    local clean, feed = secrets.cleaner(rules(), "[redacted]")
    for _, begin in ipairs {
      "sk-", "eyJ", "eyJ" .. letters(60) .. ".", "eyJ" .. letters(60) .. "." .. letters(60) .. ".", "AKIA", "xoxb-",
      "-----BEGIN RSA PRIVATE KEY-----\n",
    } do
      local piece = begin == "AKIA" and ("A1"):rep(50) or letters(100)
      local shown, tail, held = feed(nil, "x " .. begin)
      local all = shown
      for _ = 1, 400 do
        shown, tail, held = feed(tail, piece)
        all = all .. shown
        assert.is_true(held < 16384)
      end
      assert.are.equal("x [redacted]", all)
      assert.are.equal(0, held)
      assert.is_true(#(type(tail) == "table" and tail.text or tail) <= 65)
      local last = begin:find "BEGIN" and "\n-----END RSA PRIVATE KEY-----" or ""
      for i = 1, #last do
        shown, tail = feed(tail, last:sub(i, i))
        assert.are.equal("", shown)
      end
      shown, tail = feed(tail, " then " .. samples[1])
      assert.are.equal(" then [redacted]", shown .. feed(tail, "", true), begin)
      if not begin:find "^eyJ%w*%.?%w*$" then -- as a whole, it is too long to be told from other text
        assert.are.equal("x [redacted] then x", (clean("x " .. begin .. piece:rep(400) .. last .. " then x")))
      end
    end
  end)

  it("ends, within a private key, without it", function()
    local clean, feed = secrets.cleaner(rules(), "[redacted]")
    local text = "see: -----BEGIN PRIVATE KEY-----\n" .. letters(64)
    local _, joined = in_pieces(feed, {text:sub(1, 20), text:sub(21)})
    assert.are.equal("see: [redacted]", joined)
    assert.are.equal(text, (clean(text)))
  end)

  it("puts one replacement in the place of finds that overlap, in whatever order the rules are", function()
    local list = rules {{pattern = "key: %w+", longest = 60}}
    for _ = 1, 2 do
      local clean, feed = secrets.cleaner(list, "*")
      local text = "key: sk-" .. letters(30) .. "!"
      assert.are.equal("*!", (clean(text)))
      for _, at in ipairs(cuts(text)) do
        local _, joined = in_pieces(feed, {text:sub(1, at), text:sub(at + 1)})
        assert.are.equal("*!", joined)
      end
      table.insert(list, 1, table.remove(list))
    end
  end)

  it("with a pattern of the host's, holds as much as the longest match, or from its start", function()
    local _, feed = secrets.cleaner(rules({{pattern = "acme_%w+", longest = 30}}, false), "*")
    local text = ("a"):rep(100)
    local shown, _, held = feed(nil, text)
    assert.are.same({70, 30}, {#shown, held})
    _, feed = secrets.cleaner(rules({{pattern = "acme_%w+", longest = 30, start = "acme_"}}, false), "*")
    shown, _, held = feed(nil, text)
    assert.are.same({99, 1}, {#shown, held})
    shown, _, held = feed(nil, text .. "cme")
    assert.are.same({99, 4}, {#shown, held})
    shown, _, held = feed(nil, text .. "cme_x y")
    assert.are.same({99, 8}, {#shown, held})
    shown, _, held = feed(nil, text .. "cme_x y" .. (" "):rep(30))
    assert.are.same({#text - 1 + 1 + 32, 0}, {#shown, held})
  end)
end)

-- ---- On a stream ----

-- A store with the layer, in memory or in a file, and one reserved message, m1.
local function open(config, path, options)
  local store = support.open(options or {durability = "normal"}, path)
  store:use("redact", config)
  store:createConversation {conversationId = "c1"}
  store:reserve {conversationId = "c1", messageId = "m1", role = "assistant"}
  return store
end

-- What is stored of a message: each delta, and all of them as one.
local function stored(store, id)
  local deltas = {}
  for i, row in ipairs(store:read({messageId = id or "m1"}).deltas) do
    assert.are.equal(i, row.seq)
    deltas[i] = row.delta
  end
  return deltas, table.concat(deltas)
end

local function content(store, id) return store:get({messageId = id or "m1"}).message.content end

-- A layer for below, which refuses what `refuses` says.
local function gate(refuses)
  return {name = "gate", ops = {"append", "abort"}, handle = function(op, next, ctx)
    if refuses(op) then ctx:reject("closedGate") end
    return next(op)
  end}
end

describe("redact on a stream", function()
  after_each(support.clean)

  local function bytes_of(path) return (support.read(path) or "") .. (support.read(path .. "-wal") or "") end

  local function assert_clean(path)
    local bytes = bytes_of(path)
    for _, needle in ipairs(needles) do assert.is_nil(bytes:find(needle, 1, true), needle .. " is in the file") end
  end

  it("is searched for with needles that a store without it would show", function()
    local path = support.path()
    local store = support.open(nil, path)
    store:createConversation {conversationId = "c1"}
    store:reserve {conversationId = "c1", messageId = "m1", role = "assistant"}
    for _, secret in ipairs(samples) do store:append {messageId = "m1", delta = secret} end
    local bytes = bytes_of(path)
    for _, needle in ipairs(needles) do assert.is_truthy(bytes:find(needle, 1, true), needle) end
  end)

  for _, secret in ipairs(samples) do
    it("keeps " .. secret:sub(1, 12):gsub("\n.*", "") .. "… out of the file, wherever it is cut", function()
      local path = support.path()
      local store = open(nil, path)
      local text, id = "key=" .. secret .. ". Grüße", 0
      local function stream(pieces)
        id = id + 1
        local message = "s" .. id
        store:reserve {conversationId = "c1", messageId = message, role = "assistant"}
        for i, piece in ipairs(pieces) do
          local result = store:append {messageId = message, delta = piece}
          assert.are.equal(i, result.seq)
          local _, so_far = stored(store, message)
          assert.are.equal(#so_far, result.length)
          assert.are.equal(so_far, ("key=[redacted]. Grüße"):sub(1, #so_far))
        end
        if id % 4 == 0 then assert_clean(path) end
        local last = store:abort({messageId = message}).message
        assert.are.equal("key=[redacted]. Grüße", last.content)
        if id % 4 == 0 then assert_clean(path) end
      end
      for i, first in ipairs(cuts(text)) do
        stream {text:sub(1, first), text:sub(first + 1)}
        local second = (effort > 1 or i % 5 == 0) and cuts(text)[i + 1 + i * 5 % 17]
        if second then stream {text:sub(1, first), text:sub(first + 1, second), text:sub(second + 1)} end
      end
      local characters = {}
      for character in text:gmatch(utf8.charpattern) do characters[#characters + 1] = character end
      stream(characters)
      assert_clean(path)
      store:close()
      assert_clean(path)
    end)
  end

  it("says how much it holds, and counts what is durable", function()
    local store = open()
    local function add(delta)
      local result = store:append {messageId = "m1", delta = delta}
      return {result.length, result.held}
    end
    assert.are.same({6}, add "hello ")
    assert.are.same({6, 3}, add "sk-")
    assert.are.same({6, 15}, add(letters(12)))
    assert.are.same({16}, add(letters(8)))
    assert.are.same({16}, add(letters(800)))
    assert.are.same({21, 4}, add " and gith")
    assert.are.same({21, 7}, add "ub_")
    assert.are.same({29}, add "!")
    assert.are.equal("hello [redacted] and github_!", content(store))
  end)

  it("answers a repeated seq with the same delta, and refuses another text", function()
    local store = open()
    local pieces = {"my key is sk-", letters(10), letters(10), letters(10) .. " and", " sk-", "short", " end"}
    for i, delta in ipairs(pieces) do
      local before = {stored(store)}
      local op = {messageId = "m1", delta = delta, seq = i}
      local first = store:append(op)
      local after = {stored(store)}
      assert.are.equal(i, #after[1])
      for _ = 1, 2 do assert.are.same(first, store:append(op)) end
      assert.are.same(after, {stored(store)})
      local err = support.error_of(store.append, store, {messageId = "m1", delta = delta:gsub("%w", "x") .. "\u{1F680}", seq = i})
      assert.are.equal("conflict", err.code)
      err = support.error_of(store.append, store, {messageId = "m1", delta = "x", seq = i + 2})
      assert.are.equal("conflict", err.code)
      assert.are.same(after, {stored(store)})
      assert.are_not.same(before, after)
    end
    assert.are.equal("my key is [redacted] and sk-short end", content(store))
  end)

  it("takes another text for the tail it holds as another text, stored deltas being the same", function()
    local store = open()
    store:append {messageId = "m1", delta = "sk-ab", seq = 1}
    assert.are.equal("conflict", support.error_of(store.append, store, {messageId = "m1", delta = "sk-cd", seq = 1}).code)
    assert.are.equal("sk-ab", store:abort({messageId = "m1"}).message.content)
  end)

  it("is left as it was by an op that fails", function()
    local store = open()
    local shut = false
    store:use(gate(function(op) return shut and op.op == "append" end))
    store:append {messageId = "m1", delta = "a sk-" .. letters(5)}
    shut = true
    for _, seq in ipairs {false, 2} do
      for _, delta in ipairs {letters(20), " done, and more", "sk-", ""} do
        local err = support.error_of(store.append, store, {messageId = "m1", delta = delta, seq = seq or nil})
        assert.are.equal("closedGate", err.code)
      end
    end
    shut = false
    assert.are.equal("[redacted]", (store:append {messageId = "m1", delta = letters(20), seq = 2}) and stored(store)[2])
    assert.are.equal("a [redacted]", content(store))
  end)

  it("goes through a batch append by append, and is left as it was by one that fails", function()
    local store = open()
    local function ops(...)
      local list = {}
      for i, delta in ipairs {...} do list[i] = {op = "append", messageId = "m1", delta = delta} end
      return list
    end
    local results = store:batch({ops = ops("x s", "k-", letters(9))}).results
    assert.are.same({1, 3, 12}, {results[1].held, results[2].held, results[3].held})
    local bad = ops(letters(20), " gone ", "AKIA")
    bad[#bad + 1] = {op = "append", messageId = "m1", delta = "x", seq = 99}
    for _ = 1, 2 do assert.are.equal("conflict", support.error_of(store.batch, store, {ops = bad}).code) end
    bad[#bad] = {op = "updateContent", messageId = "m1", content = "gone"}
    bad[#bad + 1] = {op = "update", messageId = "nowhere", updates = {}}
    assert.are.equal("notFound", support.error_of(store.batch, store, {ops = bad}).code)
    bad[#bad - 1] = {op = "abort", messageId = "m1"}
    assert.are.equal("notFound", support.error_of(store.batch, store, {ops = bad}).code)
    bad[#bad - 1] = {op = "delete", messageId = "m1"}
    assert.are.equal("notFound", support.error_of(store.batch, store, {ops = bad}).code)
    store:explain {op = "batch", ops = ops(letters(3), "!")}
    store:batch {ops = ops(letters(8), letters(9), ". gh", "p_")}
    local done = ops(letters(40), ".")
    done[#done + 1] = {op = "abort", messageId = "m1"}
    assert.are.equal("x [redacted]. [redacted].", store:batch({ops = done}).results[3].message.content)
  end)

  it("holds for a message of the same id in the same batch as the old one's end", function()
    local store = open()
    store:append {messageId = "m1", delta = "sk-abc"}
    store:batch {ops = {
      {op = "delete", messageId = "m1"},
      {op = "reserve", conversationId = "c1", messageId = "m1", role = "assistant"},
      {op = "append", messageId = "m1", delta = "sk-" .. letters(5)},
    }}
    store:append {messageId = "m1", delta = letters(20) .. "."}
    assert.are.equal("[redacted].", content(store))
  end)

  it("gives a retry layer above it the same delta each time", function()
    local store = support.open()
    store:useString("retry", [[
      return {ops = {"append"}, handle = function(op, next)
        for _ = 1, 3 do
          local good, result = pcall(next, op)
          if good then return result end
        end
        return next(op)
      end}
    ]])
    store:use "redact"
    local times = 0
    store:use(gate(function()
      times = times + 1
      return times % 4 ~= 0
    end))
    store:createConversation {conversationId = "c1"}
    store:reserve {conversationId = "c1", messageId = "m1", role = "assistant"}
    for _, delta in ipairs {"a s", "k-", letters(9), letters(9), " an", "d s", "o."} do
      store:append {messageId = "m1", delta = delta}
    end
    assert.are.equal("a [redacted] and so.", content(store))
  end)

  it("goes on after a reload", function()
    local path = support.path()
    local store = open(nil, path)
    local text = "a " .. samples[1] .. " and " .. samples[14] .. " and " .. samples[15] .. "."
    for _, at in ipairs(cuts(text)) do
      store:append {messageId = "m1", delta = text:sub(at, at)}
      if at % 3 == 0 then store:reload() end
    end
    store:append {messageId = "m1", delta = text:sub(-1)}
    assert.are.equal("a [redacted] and [redacted] and [redacted].", content(store))
    assert_clean(path)
  end)

  it("releases the tail at an abort, redacted", function()
    local path = support.path()
    local store = open(nil, path)
    for i, case in ipairs {
      {"a sk-short", "a sk-short"}, {"a -----BEGIN RSA PRIVATE KEY-----\n" .. letters(40), "a [redacted]"},
      {"a -----BEGIN RSA PRIV", "a -----BEGIN RSA PRIV"}, {"a sk-" .. letters(40), "a [redacted]"}, {"g", "g"},
    } do
      local id = "a" .. i
      store:reserve {conversationId = "c1", messageId = id, role = "assistant"}
      store:append {messageId = id, delta = case[1]:sub(1, 5)}
      store:append {messageId = id, delta = case[1]:sub(6)}
      local message = store:abort({messageId = id, reason = "saw sk-" .. letters(30)}).message
      assert.are.equal(case[2], message.content)
      assert.are.equal("aborted", message.state)
      assert.are.equal("saw [redacted]", message.metadata.abortReason)
      assert.are.same(message, store:abort({messageId = id}).message)
    end
    assert_clean(path)
  end)

  it("lets a message end whose tail the store does not take", function()
    local path = support.path()
    local log, records = support.recorder()
    local store = open(nil, path, {log = log})
    local shut = false
    store:use(gate(function(op) return shut and op.op == "append" end))
    store:append {messageId = "m1", delta = "a sk-short"}
    shut = true
    assert.are.equal("a ", store:abort({messageId = "m1"}).message.content)
    assert.are.equal("warn", records[1].level)
    assert.are.equal("closedGate", records[1].fields.code)
    shut = false
    store:reserve {conversationId = "c1", messageId = "m2", role = "assistant"}
    store:append {messageId = "m2", delta = "b sk-short"}
    local other = support.open(nil, path)
    other:use "redact"
    assert.are.equal("b ", other:abort({messageId = "m2"}).message.content)
    assert.are.equal("b ", store:abort({messageId = "m2"}).message.content)
  end)

  it("drops the tail with updateContent, and cleans the new text", function()
    local store = open()
    store:append {messageId = "m1", delta = "a sk-" .. letters(5)}
    store:updateContent {messageId = "m1", content = "b " .. samples[1]}
    assert.are.equal("b [redacted]", content(store))
    assert.are.equal("conflict", support.error_of(store.append, store, {messageId = "m1", delta = letters(20)}).code)
    assert.are.equal("b [redacted]", content(store))
    local fork = store:fork({conversationId = "c1", title = "of " .. samples[1]}).conversation
    assert.are.equal("of [redacted]", fork.title)
  end)

  it("lets nothing through to a message that a layer below hides, for it cannot know what was held", function()
    local path = support.path()
    local store = open(nil, path)
    store:use "soft_delete"
    store:append {messageId = "m1", delta = "a sk-" .. letters(5)}
    assert.is_true(store:delete({messageId = "m1"}).deleted)
    for _, seq in ipairs {false, 2} do
      local op = {messageId = "m1", delta = letters(20), seq = seq or nil}
      assert.are.equal("notFound", support.error_of(store.append, store, op).code)
    end
    store:close()
    assert.are.equal("a ", content(support.open(nil, path)))
  end)

  it("says to the log that it found something, and never what", function()
    local log, records = support.recorder()
    local store = open(nil, nil, {log = log})
    for _, delta in ipairs {"a sk-", letters(9), letters(9), letters(9), " AKIA" .. ("A1"):rep(8) .. " gh"} do
      store:append {messageId = "m1", delta = delta}
    end
    store:abort {messageId = "m1"}
    assert.are.equal(2, #records)
    for _, record in ipairs(records) do
      assert.are.same({op = "append", messageId = "m1", count = 1}, record.fields)
    end
  end)

  it("costs no more for a long text than for a short one", function()
    local store = open(nil, nil, {maxLuaInstructions = 12000})
    local seq = 0 -- given, as the time that the store takes for a read is charged
    for _, delta in ipairs {"word ", "sk", "-" .. letters(9), letters(30)} do
      for _ = 1, 500 do
        seq = seq + 1
        store:append {messageId = "m1", delta = delta, seq = seq}
      end
    end
    assert.is_true(#content(store) > 2500)
  end)

  it("stores what the whole text would be, through failures, repeats, batches and reloads", function()
    local words = {"a", " ", ". ", "ü", "key ", "sk-short", "gh", "-", "eyJabc"}
    table.move(samples, 1, #samples, #words + 1, words)
    local clean = secrets.cleaner(rules(), "[redacted]")
    math.randomseed(11)
    local store, shut = open(), false
    store:use(gate(function() return shut end))
    for round = 1, 6 * effort do
      local id, text, seq = "r" .. round, "", 0
      store:reserve {conversationId = "c1", messageId = id, role = "assistant"}
      for _ = 1, math.random(30) do
        local word = words[math.random(#words)]
        local at = utf8.offset(word, math.random(utf8.len(word)))
        local deltas = {word:sub(1, at - 1), word:sub(at)}
        local ops = {}
        for i, delta in ipairs(deltas) do
          ops[i] = {op = "append", messageId = id, delta = delta, seq = math.random(2) == 1 and seq + i or nil}
        end
        shut = math.random(4) == 1
        if shut then
          pcall(store.batch, store, {ops = ops})
          pcall(store.append, store, {messageId = id, delta = "sk-" .. letters(30)})
          shut = false
        end
        if math.random(4) == 1 then
          ops[#ops + 1] = {op = "update", messageId = "nowhere", updates = {}}
          assert.are.equal("notFound", support.error_of(store.batch, store, {ops = ops}).code)
          ops[#ops] = nil
        end
        if math.random(2) == 1 then
          store:batch {ops = ops}
        else
          for _, op in ipairs(ops) do
            store:exec(op)
            if op.seq then store:exec(op) end
          end
        end
        if math.random(20) == 1 then store:reload() end
        text, seq = text .. word, seq + #deltas
      end
      local message = store:abort({messageId = id}).message
      assert.are.equal(clean(text), message.content)
    end
  end)
end)

-- ---- Tails ----

describe("a layer that holds text back", function()
  after_each(support.clean)

  -- Holds all after the last space back.
  local function words(tail, delta, op)
    local text = (tail or "") .. delta
    local size = op.op == "abort" and #text or text:find "%S*$" - 1
    return text:sub(1, size), size < #text and text:sub(size + 1) or nil
  end

  -- A store with such a layer, and the layer's state.
  local function with_layer()
    local store = support.seed(support.open())
    local on, state = holdback(words), {}
    local handle = on.append
    on.append = function(op, next, ctx)
      state.streams = ctx.state
      return handle(op, next, ctx)
    end
    store:use {name = "words", on = on}
    for _, id in ipairs {"a", "b"} do
      store:reserve {conversationId = "c1", messageId = id, role = "assistant"}
      store:append {messageId = id, delta = "one tw"}
    end
    return store, state
  end

  local function count(list)
    local total = 0
    for key in pairs(list) do total = total + (math.type(key) and 1 or 0) end
    return total
  end

  it("hands on what it lets go, and says what it holds", function()
    local store = with_layer()
    assert.are.same({op = "append", seq = 2, length = 8, held = 5}, store:append {messageId = "a", delta = "o three"})
    assert.are.same({op = "append", seq = 3, length = 14}, store:append {messageId = "a", delta = " "})
    assert.are.equal("one two three ", content(store, "a"))
  end)

  it("keeps of a stream the last two tails", function()
    local store, state = with_layer()
    for i = 1, 300 do
      store:append {messageId = "a", delta = i % 7 == 0 and " " or "x"}
      assert.is_true(count(state.streams.a) <= 2)
    end
  end)

  it("forgets a stream that has ended, once that is in the store", function()
    for _, op in ipairs {
      {op = "abort", messageId = "a"}, {op = "updateContent", messageId = "a", content = ""}, {op = "delete", messageId = "a"},
      {op = "deleteConversation", conversationId = "c1"},
    } do
      local store, state = with_layer()
      local bad = {op, {op = "update", messageId = "nowhere", updates = {}}}
      support.error_of(store.batch, store, {ops = bad})
      assert.are.same({"tw", "tw"}, {state.streams.a[1], state.streams.b[1]})
      store:exec(op)
      assert.is_nil(state.streams.a, op.op)
      assert.are.equal(op.op == "deleteConversation", state.streams.b == nil)
    end
  end)

  it("goes with another one in the same chain", function()
    local store = support.seed(support.open())
    store:use {name = "words", on = holdback(words)}
    store:use "redact"
    store:reserve {conversationId = "c1", messageId = "a", role = "assistant"}
    local result
    for _, delta in ipairs {"my sk", "-" .. letters(9), letters(9), " is sk-s"} do
      result = store:append {messageId = "a", delta = delta}
    end
    assert.are.equal(4, result.held)
    assert.are.equal("my [redacted] is sk-s", store:abort({messageId = "a"}).message.content)
  end)
end)
