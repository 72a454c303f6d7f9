-- Compares the matcher that counts its steps with Lua's own. Each check returns how many calls it compared, and
-- then how many of them matched, failed to match, and raised; the first difference is raised as an error.

local counted = ...

-- Each call has the library's function as a field, so that messages name it alike.
local call = {}

function call.find(library, ...)
    local results = table.pack(library.find(...))
    return results
end

function call.match(library, ...)
    local results = table.pack(library.match(...))
    return results
end

function call.gsub(library, ...)
    local results = table.pack(library.gsub(...))
    return results
end

-- All that the iterator gives, and what it gives once it is at its end.
function call.gmatch(library, ...)
    local gmatch = library.gmatch
    local iterator = gmatch(...)
    local all, ends = {n = 0}, 0
    repeat
        local results = table.pack(iterator())
        if results.n == 0 then
            ends = ends + 1
            all.n = all.n + 1
            all[all.n] = "end"
        end
        for i = 1, results.n do
            all[all.n + i] = results[i]
        end
        all.n = all.n + results.n
    until ends == 2 or all.n > 100
    return all
end

local function show(value)
    if type(value) == "string" then return (#value > 200 and "%q (a part)" or "%q"):format(value:sub(1, 200)) end
    return math.type(value) == "integer" and tostring(value) or type(value) .. " " .. tostring(value)
end

local function show_all(values)
    local shown = {}
    for i = 1, values.n do
        shown[i] = show(values[i])
    end
    return "(" .. table.concat(shown, ", ") .. ")"
end

local tally

local function same(a, b)
    if a.n ~= b.n then return false end
    for i = 1, a.n do
        if a[i] ~= b[i] or math.type(a[i]) ~= math.type(b[i]) then return false end
    end
    return true
end

local function compare(name, ...)
    local fine, expected = pcall(call[name], string, ...)
    local counted_fine, found = pcall(call[name], counted, ...)
    tally.calls = tally.calls + 1
    local outcome = not fine and "errors" or expected[1] == nil and "misses" or "matches"
    tally[outcome] = tally[outcome] + 1
    if not fine then expected = {n = 1, tostring(expected)} end
    if not counted_fine then found = {n = 1, tostring(found)} end
    if fine == counted_fine and same(expected, found) then return end
    error(("%s%s: expected %s%s, found %s%s"):format(name, show_all(table.pack(...)), fine and "" or "the error ",
        show_all(expected), counted_fine and "" or "the error ", show_all(found)), 0)
end

-- A replacement that tells what it is called with, and answers now and then.
local function answering(log)
    return function(...)
        log[#log + 1] = show_all(table.pack(...))
        if #log % 4 == 0 then return nil end
        if #log % 4 == 1 then return false end
        if #log % 4 == 2 then return #log end
        return "<" .. tostring((...)) .. ">"
    end
end

local function compare_callback(subject, pattern, most)
    local logs = {{}, {}}
    local outcomes = {}
    for i, library in ipairs({string, counted}) do
        outcomes[i] = table.pack(pcall(library.gsub, subject, pattern, answering(logs[i]), most))
        outcomes[i][2] = tostring(outcomes[i][2])
    end
    tally.calls = tally.calls + 1
    if not same(outcomes[1], outcomes[2]) or table.concat(logs[1], ";") ~= table.concat(logs[2], ";") then
        error(("gsub%s with a function: expected %s %s, found %s %s"):format(show_all({n = 2, subject, pattern}),
            show_all(outcomes[1]), table.concat(logs[1], ";"), show_all(outcomes[2]), table.concat(logs[2], ";")), 0)
    end
end

local function counting(check)
    return function(...)
        tally = {calls = 0, matches = 0, misses = 0, errors = 0}
        check(...)
        return tally.calls, tally.matches, tally.misses, tally.errors
    end
end

local patterns = {
    -- characters, dots, nothing
    "", "a", "b", "abc", "bc", ".", "..", "...", "a.c", ".b.", "\0", "a\0b", "\255", "[\128-\255]", "é", " ", "\n",
    -- classes and what is none
    "%a", "%A", "%c", "%C", "%d", "%D", "%g", "%G", "%l", "%L", "%p", "%P", "%s", "%S", "%u", "%U", "%w", "%W", "%x",
    "%X", "%z", "%Z", "%.", "%%", "%(", "%)", "%[", "%]", "%^", "%$", "%-", "%*", "%+", "%?", "%q", "%Q", "%_", "%\0", "%é",
    -- sets
    "[a]", "[abc]", "[^abc]", "[a-c]", "[^a-c]", "[c-a]", "[a-]", "[-a]", "[^-a]", "[]]", "[^]]", "[]a]", "[]-a]",
    "[a^]", "[%a]", "[%a_]", "[^%a]", "[%a-z]", "[a-%z]", "[+-%]]", "[a-%%]", "[+-%%]", "[^+-%%]", "[%]]", "[%]-]", "[%-]",
    "[%w_%-]+", "[a-c-e]", "[--/]",
    "[.]", "[$^]", "[%.%%]", "[%s%d]", "[^%s%d]", "[(]", "[\0]", "[^\0]", "[a\0-\5b]", "[%b]", "[%f]", "[%1]", "[a-c]+[%d]*",
    -- repetition
    "a*", "a+", "a-", "a?", ".*", ".+", ".-", ".?", "%a*", "%a+", "%a-", "%a?", "[ab]*", "[ab]+", "[ab]-", "[ab]?", "a*b",
    "a+b", "a-b", "a?b", ".*b", ".-b", ".+b", ".?b", "a*a", "a+a", "a?a", "a-a", "a**", "a*+", "a+-", "a?*", "a--", "*",
    "+", "-", "?", "*a", "+a", "?a", "-a", "a*b*c*", "a-b-c-$", "%s*$", "%s+$", "^%s*(.-)%s*$", "%d+%.?%d*", "%-?%d+",
    "a?a?a?aaa", "(a*)(a-)(a?)", "(a+)b", "(a-)b", "((a)(b))", "x*", "x-", "x?", "b*$",
    -- anchors
    "^", "$", "^$", "^a", "a$", "^abc$", "a^", "$a", "^^", "$$", "^*", "^.", "^()", "()$", "^a*", "a*$", "%^a", "a%$", "(^a)",
    "(a$)", "(a)$", "^(a)", "a$b", "[^^]", "^-", "^b",
    -- captures
    "(a)", "(a)(b)", "(a)(b)(c)", "((a)b)", "(a(b(c)))", "()", "()()", "()a()", "(a())", "(.)", "(.-)", "(.*)", "(.+)$", "(())",
    "(%a+)%s*=%s*(%w+)", "(%w+)()", "()%w+()", "(a)|(b)", "(.)(.)(.)", "(a?)(b?)",
    -- references back
    "(a)%1", "(.)%1", "(.-)%1", "(.*)%1", "(%a)(%a)%2%1", "(a)%1*", "(a*)%1b", "()%1", "(.)(.)%1", "(a)(b)%2", "(['\"])(.-)%1",
    "%1", "%0", "%2", "%9", "(a)%2", "(a)%0", "(a%1)", "(a(b)%1)", "(a(b)%2)", "((a)%2)", "(a)%1?", "(a)%1+",
    -- balance and frontier
    "%b()", "%b[]", "%bab", "%baa", "%b))", "%b((", "%b\0\0", "%b\0a", "(%b())", "%b()%b()", "%b()a", "a%b()", "%b()*", "^%b()$",
    "%f[%w]", "%f[%w]%w+", "%f[%a]%a+%f[%A]", "%f[%W]", "%f[\0]", "%f[^\0]", "%f[%z]", "%f[%Z]", "%f[a]", "%f[^a]", "()%f[%w]()",
    "%f[%w]sk%-[%w_%-]+", "%f[]]", "%f[%w]$", "^%f[%w]", "%f[%s]%s", "%f[%w]*",
    -- malformed
    "%", "a%", "(%", "[", "[a", "[^", "[^]", "[]", "[%", "[%]", "[a%", "[a-", "[a-]b-", "[]-", "(", ")", "(()", "())", "(a", "a)",
    "(a))", "%b", "%b(", "%ba", "a%b", "a%b(", "%f", "%fa", "%f(", "%f[", "%f[a", "%f[^", "%f[]", "a*%", "a*[", "a-(", ".-)",
    "x*%b",
    "(a*", "(.-", "(()", "z%", "z[", "z)", "z(", "z%b", "z%f", "zz%1", "()%9", "(a)%", "%fé", "[%a-", "[^%",
}

local subjects = {
    "", "a", "b", "aa", "abc", "aabbcc", "aaab", "baaac", "abcabc", "a b  c", "  trim me \t", "key = value", "x=1, y=22, z=333",
    "(a(b)c)", "((a)", "f(a, (b)) + g()", "[x[y]]", "sk-abc_1-2 and task-3 sk-z", "THE (quick) fox", "hello world from Lua",
    "a.b%c^d$e-f*g+h?i", "\0", "a\0b\0\0", "\255\128é", "'it''s' \"quoted\"", "]]-^a[", "1.5 -20 0x1F", "aXbXc\nd", "^$", "_",
}

local inits = {1, 0, 2, 3, -1, -2, 7, 100, -100, math.maxinteger, math.mininteger}

local replacements = {
    "", "x", "<%0>", "<%1>", "%1%1", "%2-%1", "%%", "%%1", "100%%", "%", "x%", "%a", "%9", "%3", "a\0b", "%0%0", "% 1",
    "%\0", 7, 2.5,
    {}, {a = "A", b = "B", abc = 1, [""] = "_", [1] = "one", [2] = false}, {a = true}, {a = {}},
    setmetatable({}, {__index = function(_, key) return "[" .. tostring(key) .. "]" end}),
}

local cases = {}

cases.list = counting(function()
    for _, pattern in ipairs(patterns) do
        for _, subject in ipairs(subjects) do
            compare("find", subject, pattern)
            compare("find", subject, pattern, 1, true)
            compare("match", subject, pattern)
            compare("gmatch", subject, pattern)
            compare_callback(subject, pattern)
            compare_callback(subject, pattern, 2)
            for _, init in ipairs(inits) do
                compare("find", subject, pattern, init)
                compare("find", subject, pattern, init, true)
                compare("match", subject, pattern, init)
                compare("gmatch", subject, pattern, init)
            end
            for i, replacement in ipairs(replacements) do
                compare("gsub", subject, pattern, replacement)
                compare("gsub", subject, pattern, replacement, i % 4 - 1)
            end
        end
    end
end)

cases.arguments = counting(function()
    for _, name in ipairs({"find", "match", "gmatch", "gsub"}) do
        compare(name)
        compare(name, "a")
        compare(name, nil, "a")
        compare(name, {}, "a")
        compare(name, "a", {})
        compare(name, "a", nil)
        compare(name, "a", print)
        compare(name, 12345, 3)
        compare(name, 12.5, "%d")
        compare(name, "a1", 1)
        for _, third in ipairs({true, "x", "2", 1.5, 2.0, {}, type, 0 / 0, math.huge, "%", "%1"}) do
            compare(name, "aba", "b", third)
            compare(name, "aba", "%w", third)
            for _, fourth in ipairs({true, false, "x", "2", 0, -1, 1, 1.5, 2.0, {}, math.maxinteger, math.mininteger}) do
                compare(name, "aba", "b", third, fourth)
                compare(name, "a%wa%w", "%w", third, fourth)
            end
        end
        compare(name, "aba", "b", nil, nil)
        compare(name, "aba", "b", nil, 1)
    end
    for _, value in ipairs({true, {}, print, coroutine.create(print), io.stdout}) do
        local function give()
            return value
        end
        compare("gsub", "abc", "b", give)
        compare("gsub", "abc", "b", {b = value})
    end
    local function raise(found)
        error("found " .. found, 0)
    end
    compare("gsub", "abc", "b", raise)
    compare("gsub", "abc", "b", setmetatable({}, {__index = function(_, key) raise(key) end}))
    compare("gsub", "abc", "b", coroutine.yield)
    for _, depth in ipairs({1, 50, 150, 1000}) do -- the last is beyond what Lua allows
        local left
        local function nest(found)
            left = left - 1
            return left > 0 and (string.gsub(found, ".", nest)) or "innermost"
        end
        local function nest_counted(found)
            left = left - 1
            return left > 0 and (counted.gsub(found, ".", nest_counted)) or "innermost"
        end
        left = depth
        local fine, expected = pcall(nest, "a")
        left = depth
        local counted_fine, found = pcall(nest_counted, "a")
        assert(fine == counted_fine and tostring(expected):gsub(":%d+:", "") == tostring(found):gsub(":%d+:", ""), found)
    end
    compare("gsub", "abc", "b", function() end)
    compare("gsub", "abc", "b", function() return "x", "y" end)
end)

-- Where captures, choices, buffers and windows come to their ends.
cases.bounds = counting(function()
    for count = 30, 34 do
        for _, capture in ipairs({"()", "(a)", "(a?)", "(a-)", "("}) do
            for _, tail in ipairs({"", "%9", ")"}) do
                compare("find", ("a"):rep(50), capture:rep(count) .. tail)
                compare("match", ("a"):rep(50), capture:rep(count) .. tail)
            end
        end
    end
    for count = 195, 203 do
        for _, item in ipairs({"a?", "a*", "a-", "b?", "b*", "b-", "a", "%a?", "[ab]-", "%f[a]", "a?b?"}) do
            compare("match", ("a"):rep(300), item:rep(count))
            compare("match", ("a"):rep(300), "(" .. item:rep(count) .. ")")
            compare("match", ("a"):rep(300), "()" .. item:rep(count - 2) .. "()")
            compare("match", ("a"):rep(count), item:rep(count))
            compare("match", ("ab"):rep(count), item:rep(count))
        end
    end
    for _, size in ipairs({1, 63, 64, 65, 127, 128, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 70000}) do
        local row, text = ("a"):rep(size), ("ab("):rep(size)
        for _, pattern in ipairs({row, row .. "b", "b" .. row, row .. "(", "(.-)b", "(a*)b", "(a*)%1", "^(a+)%1$", "[^b]*b",
                                  ".*b$",
                                  "[" .. row .. "]*", "[" .. row .. "b]+$", "[" .. row, "[" .. row .. "%", "%f[" .. row .. "]a",
                                  "[%" .. row .. "-z]b"}) do
            if size > 1024 and not pattern:find("^[%^a]") then pattern = "^" .. pattern end -- or Lua's own takes too long
            for _, subject in ipairs({row, row .. "b", row .. row, "b" .. row, row .. "b" .. row .. "b", "x" .. row .. "("}) do
                compare("find", subject, pattern, -size - 70)
                compare("find", subject, pattern, -size - 70, true)
                if size < 10000 then compare("gsub", subject, pattern, "<%0>") end
            end
        end
        compare("find", ("("):rep(size) .. (")"):rep(size), "%b()")
        compare("match", "(" .. ("x"):rep(size) .. ")", "%b()")
        compare("gsub", row, "a", "bcd")
        compare("gsub", row, "a", "%%")
        compare("gsub", row, "", "-")
        compare("gsub", text, "b%(", {["b("] = "c"})
        compare("gsub", text, "()b", "%1")
        compare("gsub", "xax", "a", row)
        compare("gsub", "xax", "a", ("%%"):rep(size))
        compare("gsub", "xax", "a", ("%0"):rep(size))
        compare_callback(text, "(a)(b)")
    end
end)

local pieces = {
    "a", "a", "b", "c", "1", " ", ".", ".", "%a", "%d", "%s", "%W", "%w", "[ab]", "[^a]", "[a-c]", "[%a]", "[^%d%s]", "(", ")",
    "(", ")", "()", "%1", "%2", "%b()", "%bab", "%f[%w]", "%f[^a]", "%f[%z]", "*", "+", "-", "?", "*", "-", "?", "^", "$", "%",
    "[", "]", "%%", "\0", "%-", "%(",
}
local letters = {"a", "a", "a", "b", "b", "c", "1", " ", "(", ")", "-", "%", "\0", "\255", "."}
local replacing = {"x", "%0", "%1", "%1", "%2", "%%", "<", ">", "%", "%3"}

local function pick(from, least, most)
    local chosen = {}
    for i = 1, math.random(least, most) do
        chosen[i] = from[math.random(#from)]
    end
    return table.concat(chosen)
end

-- Mostly well-formed: an item, perhaps repeated; a capture, perhaps closed and referred to.
local items = {"a", "b", "c", ".", "%a", "%d", "%w", "%s", "[ab]", "[^b]", "[a-c1]", "[%w-]", "%b()", "%f[%w]", "%f[%A]", "%(",
               "\0"}
local function well_formed()
    local parts, open, closed = {}, 0, 0
    if math.random(6) == 1 then parts[1] = "^" end
    for _ = 1, math.random(1, 6) do
        local dice = math.random(12)
        if dice == 1 then
            parts[#parts + 1] = "()"
        elseif dice <= 3 then
            parts[#parts + 1] = "("
            open = open + 1
        elseif dice <= 5 and open > 0 then
            parts[#parts + 1] = ")"
            open, closed = open - 1, closed + 1
        elseif dice == 6 and closed > 0 then
            parts[#parts + 1] = "%" .. math.random(closed)
        else
            local item = items[math.random(#items)]
            local times = {"", "", "*", "+", "-", "?"}
            parts[#parts + 1] = item .. (#item > 3 and item:sub(1, 1) == "%" and "" or times[math.random(#times)])
        end
    end
    parts[#parts + 1] = (")"):rep(open)
    if math.random(6) == 1 then parts[#parts + 1] = "$" end
    return table.concat(parts)
end

cases.random = counting(function(count, seed)
    math.randomseed(seed)
    for round = 1, count do
        local pattern = round % 2 == 0 and pick(pieces, 1, 8) or well_formed()
        local subject = pick(letters, 0, 14)
        local init = math.random(-16, 17)
        compare("find", subject, pattern, init, round % 16 == 0)
        compare("match", subject, pattern)
        if round % 2 == 0 then compare("gmatch", subject, pattern, math.random(4) == 1 and init or nil) end
        if round % 4 < 2 then compare("gsub", subject, pattern, pick(replacing, 0, 4), math.random(4) == 1 and init or nil) end
        if round % 8 == 0 then compare_callback(subject, pattern) end
    end
end)

return cases
