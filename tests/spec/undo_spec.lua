-- What a layer's failure undoes. Random layers write, fail, catch, try again and answer in another's place, as the host's
-- own functions, whose every `next` and `ctx:exec` the engine marks; as sandboxed scripts, where it marks those alone
-- that somebody might catch; and as both by turns. Every answer, every error and what is stored in the end must be the same.
--
-- HOLDFAST_SEED repeats the program of that seed, which a failure prints; HOLDFAST_PROPERTY_OPS is how many ops to run.

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or ""
local holdfast = require "holdfast"
local support = dofile(here .. "support.lua")
local random_ops = dofile(here .. "../support/random_ops.lua")

local OPS = 12 -- of one program

-- What stands around the actions of a layer. `now` is true once in a few calls, and so not always at a second try.
local frame = [[
return {ops = {%s}, onError = "%s", handle = function(op, next, ctx)
  local result, good
  local count, id, state = 0, op.messageId or "batch", ctx.state
  local function now(n, k)
    state.turn = (state.turn or 0) + 1
    return state.turn %% n == k
  end
  local function row(content)
    count = count + 1
    return {op = "add", conversationId = "c1", role = "user", messageId = id .. "%s" .. count, content = content}
  end
  local function write(content) return ctx:exec(row(content)) end
  local function fail() return ctx:exec {op = "batch", ops = {row "gone", {op = "update", messageId = "none", updates = {}}}} end
  local function slip() write "kept unless it fails" error "slip" end
%s
  return result
end}
]]

local actions = {
  "write 'written'",
  "fail()",
  "slip()",
  "ctx:reject('denied', 'refused')",
  "pcall(write, 'caught')",
  "pcall(fail)",
  "pcall(slip)",
  "pcall(pcall, fail)",
  "xpcall(fail, tostring)", -- a handler that writes would do so before, or, in a sandbox, after the layer's __close
  "pcall(string.gsub, 'x', 'x', fail)",
  "do local guard <close> = setmetatable({}, {__close = function() write 'closing' end}) fail() end",
  "pcall(function() local guard <close> = setmetatable({}, {__close = fail}) slip() end)",
}

local ways = { -- to the layers below
  "result = next(op)",
  "result = next(op)",
  "local guard <close> = setmetatable({}, {__close = function() write 'closing' end}) result = next(op)",
  "good, result = pcall(next, op) if not good then result = next(op) end",
  "good, result = pcall(next, op) if not good then error(result) end",
  "good, result = pcall(next, op) if not good then good, result = pcall(next, op) end result = good and result or nil",
  "good, result = xpcall(next, tostring, op) if not good then result = next(op) end",
  "good, result = pcall(function() local found = next(op) if now(2, 1) then slip() end return found end) result = nil",
  "good, result = pcall(next, op) if not good then result = op.op == 'add' and write 'instead' or nil end",
}

local function source(chance, name)
  local lines = {}
  local function maybe()
    for _ = 1, chance:below(3) do
      local n = 2 + chance:below(5)
      lines[#lines + 1] = ("  if now(%d, %d) then %s end"):format(n, chance:below(n), chance:of(actions))
    end
  end
  maybe()
  lines[#lines + 1] = "  " .. chance:of(ways)
  maybe()
  return frame:format(chance:of {"'add'", "'add'", "'add', 'batch'", "'add', 'update', 'batch'"},
                      chance:of {"abort", "abort", "continue"}, name, table.concat(lines, "\n"))
end

-- The layers and ops of a program.
local function program(seed)
  local chance = random_ops.chance(seed)
  local sources, ops = {}, {}
  for i = 1, 1 + chance:below(4) do sources[i] = source(chance, ("abcd"):sub(i, i)) end
  for i = 1, OPS do
    local adds = {}
    for k = 1, 1 + chance:below(5) do
      adds[k] = {op = "add", conversationId = chance:once_in(12) and "c9" or "c1", role = "user", messageId = i .. "." .. k,
                 content = "op"}
    end
    ops[i] = chance:once_in(4) and adds[1] or {op = "batch", ops = adds}
  end
  return sources, ops
end

-- What came of each op, and what is stored.
local function run(sources, ops, is_script)
  local store = support.open {now = support.clock()}
  store:createConversation {conversationId = "c1"}
  for i, text in ipairs(sources) do
    local name = "layer-" .. i
    if is_script(i) then store:useString(name, text) else store:use(assert(load(text, "=" .. name))(), name) end
  end
  local outcomes = {}
  for i, op in ipairs(ops) do
    local good, answer = pcall(store.exec, store, op)
    outcomes[i] = good and holdfast.json.encode(answer) or answer.code
  end
  outcomes[#outcomes + 1] = support.snapshot(store)
  support.clean()
  return outcomes
end

local forms = {
  script = function() return true end,
  ["script and function by turns"] = function(i) return i % 2 == 1 end,
  ["function and script by turns"] = function(i) return i % 2 == 0 end,
}

local function compare(seed)
  local sources, ops = program(seed)
  local expected = run(sources, ops, function() return false end)
  for form, is_script in pairs(forms) do
    local found = run(sources, ops, is_script)
    for i = 1, #expected do
      if found[i] ~= expected[i] then
        error(("HOLDFAST_SEED=%d repeats it. %s\nop %d (the last is what is stored), as %s:\n%s\nas functions:\n%s"):format(
          seed, table.concat(sources), i, form, found[i], expected[i]), 0)
      end
    end
  end
  return #ops
end

describe("undo:", function()
  after_each(support.clean)

  it("leaves the same behind whatever random layers catch, marked or not", function()
    local wanted = math.tointeger(os.getenv "HOLDFAST_PROPERTY_OPS" or 100000) // 100
    local seed = math.tointeger(os.getenv "HOLDFAST_SEED" or os.time() * 1000)
    local count = 0
    while count < wanted do
      count = count + compare(seed)
      seed = seed + 1
    end
  end)
end)
