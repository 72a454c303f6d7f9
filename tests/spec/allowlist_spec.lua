-- Everything that a middleware script can reach, by name, as deep as it goes. A line that comes or goes is a decision
-- about the sandbox, and is made here as well.

local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

-- Run in the sandbox: walks what a handler is given and what is global, and tells each table once.
local walk = [[
  local lines, seen = {}, {}
  local function visit(path, value)
    local kind = type(value)
    local meta = kind ~= "string" and getmetatable(value) or nil
    lines[#lines + 1] = path .. " " .. kind .. (meta ~= nil and " with the metatable " .. tostring(meta) or "")
    if kind ~= "table" or seen[value] then return end
    seen[value] = true
    local keys = {}
    for key in next, value do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      if math.type(key) == nil then visit(path .. "." .. tostring(key), value[key]) end
    end
  end
  return {ops = {"createConversation"}, handle = function(op, next, ctx)
    visit("_G", _G)
    visit("holdfast", require "holdfast")
    visit("holdfast.json", require "holdfast.json")
    for name in string.gmatch("byte char dump find format gmatch gsub leaked len lower match pack packsize rep " ..
                              "reverse sub unpack upper", "%S+") do
      visit('("").' .. name, (""):rep(1)[name])
    end
    visit('getmetatable("")', getmetatable "")
    visit("next", next)
    visit("ctx", ctx)
    for name in string.gmatch("afterCommit conversationId dryRun exec layer log now reject reply requestId shared " ..
                              "state trust turnIndex uuid __gc __index __name", "%S+") do
      visit("ctx." .. name, ctx[name])
    end
    local failed, e = pcall(ctx.exec, ctx, {op = "nothing"})
    visit("error", e)
    local result = next(op)
    visit("result", result)
    for _, line in ipairs(lines) do ctx:log("info", line) end
    return result
  end}
]]

local allowed = [[
_G table
_G._G table
_G._VERSION string
_G.assert function
_G.error function
_G.getmetatable function
_G.ipairs function
_G.math table
_G.math.abs function
_G.math.acos function
_G.math.asin function
_G.math.atan function
_G.math.ceil function
_G.math.cos function
_G.math.deg function
_G.math.exp function
_G.math.floor function
_G.math.fmod function
_G.math.huge number
_G.math.log function
_G.math.max function
_G.math.maxinteger number
_G.math.min function
_G.math.mininteger number
_G.math.modf function
_G.math.pi number
_G.math.rad function
_G.math.random function
_G.math.sin function
_G.math.sqrt function
_G.math.tan function
_G.math.tointeger function
_G.math.type function
_G.math.ult function
_G.next function
_G.os table
_G.os.clock function
_G.os.date function
_G.os.difftime function
_G.os.time function
_G.pairs function
_G.pcall function
_G.rawequal function
_G.rawget function
_G.rawlen function
_G.rawset function
_G.require function
_G.select function
_G.setmetatable function
_G.string table
_G.string.byte function
_G.string.char function
_G.string.find function
_G.string.format function
_G.string.gmatch function
_G.string.gsub function
_G.string.len function
_G.string.lower function
_G.string.match function
_G.string.pack function
_G.string.packsize function
_G.string.rep function
_G.string.reverse function
_G.string.sub function
_G.string.unpack function
_G.string.upper function
_G.table table
_G.table.concat function
_G.table.insert function
_G.table.move function
_G.table.pack function
_G.table.remove function
_G.table.sort function
_G.table.unpack function
_G.tonumber function
_G.tostring function
_G.type function
_G.utf8 table
_G.utf8.char function
_G.utf8.charpattern string
_G.utf8.codepoint function
_G.utf8.codes function
_G.utf8.len function
_G.utf8.offset function
_G.xpcall function
holdfast table
holdfast.json table
holdfast.json.decode function
holdfast.json.encode function
holdfast.list function
holdfast.null userdata
holdfast.ops table with the metatable list
holdfast.version string
holdfast.json table
("").byte function
("").char function
("").dump nil
("").find function
("").format function
("").gmatch function
("").gsub function
("").leaked nil
("").len function
("").lower function
("").match function
("").pack function
("").packsize function
("").rep function
("").reverse function
("").sub function
("").unpack function
("").upper function
getmetatable("") boolean
next function
ctx userdata with the metatable ctx
ctx.afterCommit function
ctx.conversationId nil
ctx.dryRun boolean
ctx.exec function
ctx.layer string
ctx.log function
ctx.now function
ctx.reject function
ctx.reply function
ctx.requestId nil
ctx.shared table
ctx.state table
ctx.trust nil
ctx.turnIndex nil
ctx.uuid function
ctx.__gc nil
ctx.__index nil
ctx.__name nil
error table with the metatable error
error.code string
error.layer string
error.message string
error.op string
result table
result.conversation table
result.conversation.createdAt number
result.conversation.id string
result.conversation.updatedAt number
result.op string
]]

describe("the allow-list of the sandbox:", function()
  after_each(support.clean)

  it("is this, and nothing else", function()
    local log, records = support.recorder()
    local store = support.open {log = log}
    store:useString("walker", walk)
    store:createConversation {conversationId = "c1"}
    local lines = {}
    for i, record in ipairs(records) do lines[i] = record.message end
    assert.are.equal(allowed, table.concat(lines, "\n") .. "\n")
  end)
end)
