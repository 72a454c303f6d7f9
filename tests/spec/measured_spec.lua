-- What README.md and tests/bench/results.md say of the goals is the same, by goals.lua and by the tables of results.md,
-- as report.lua makes it. What the figures are is the benchmark's affair.

local support = dofile((debug.getinfo(1, "S").source:match "^@(.*/)" or "") .. "support.lua")

local goals = dofile "tests/bench/goals.lua"
local results = "\n" .. assert(support.read "tests/bench/results.md")
local shown = assert(support.read("README.md"):match "\n<!%-%- measured %-%->(\n.-\n)<!%-%- /measured %-%->\n")

-- ---- What the pages hold ----

local function cells_of(line)
  local cells = {}
  for cell in line:gmatch "|([^|]*)%f[|]" do cells[#cells + 1] = cell:match "^%s*(.-)%s*$" end
  return cells
end

-- All that results.md tells of cases, by case: the columns of its tables, by their headings. A peer stands under its name
-- and the case that it is compared with.
local function read_cases()
  local cases, columns = {}, nil
  for line in results:gmatch "([^\n]*)\n" do
    if not line:find "^|" then
      columns = nil
    elseif not columns then
      columns = cells_of(line)
    elseif not line:find "^| %-" then
      local row = {}
      for i, cell in ipairs(cells_of(line)) do row[columns[i]] = cell end
      cases[row.peer and row.peer .. " " .. row.Holdfast or row[columns[1]]] = row
      for _, layers in ipairs(row.op and {1, 5, 20} or {}) do
        cases[row.op .. "-lua-" .. layers] = {ratio = row[layers .. " Lua"]}
      end
    end
  end
  return cases
end

local cases = read_cases()

-- A number, without its quartiles; nil where results.md does not have it.
local function figure(case, key)
  local cell = cases[case] and cases[case][key]
  return cell and tonumber(cell:match "^[%d.]+")
end

-- Of the lines of the table of goals: their cells.
local function rows_of(page)
  local rows = {}
  local lines = page:match "\n| goal |[^\n]*\n| %-[^\n]*\n([^\0]*)"
  for line in assert(lines, "there is no table of goals"):gmatch "([^\n]*)\n" do
    if not line:find "^|" then break end
    rows[#rows + 1] = cells_of(line)
  end
  return rows
end

-- ---- Goals against figures ----

-- Whether the page's `word` is that number: from ten on with one decimal.
local function assert_figure(value, word, what)
  local found = tonumber(word)
  local same = found and value and math.abs(found - value) <= (value >= 10 and 0.051 or 0)
  assert.is_true(same, ("%s: %s in the table of goals, %s below it"):format(what, word, value))
end

-- How many of the values surely reach the limit, and how many may: they were rounded.
local function count_reached(goal, values)
  local surely, maybe = 0, 0
  for _, value in ipairs(values) do
    local over = goal.least and value - goal.least or goal.most - value
    if over > 0 then surely = surely + 1 end
    if over >= 0 then maybe = maybe + 1 end
  end
  return surely, maybe
end

local function split(words)
  local list = {}
  for word in (words .. "; "):gmatch "(.-); " do list[#list + 1] = word end
  return list
end

-- Looks at the figures of a goal, and gives how many there are, how many surely reach the limit, and how many may.
local function judge(goal, list, words)
  local said, values = split(words), {}
  assert.are.equal(#list, #said, words)
  for i, key in ipairs(list) do
    values[i] = figure(key[1], key[2])
    assert_figure(values[i], said[i], goal.what)
  end
  return #list, count_reached(goal, values)
end

-- The same of a goal for each op: how many reach it, and the worst.
local function judge_each(goal, words)
  local said, reached = split(words), 0
  assert.are.equal(#goal.keys, #said, words)
  for i, key in ipairs(goal.keys) do
    local values = {}
    for j, op in ipairs(goal.each) do values[j] = assert(figure(op, key), op) end
    local enough, all, worst, word = said[i]:match "^(%d+) of (%d+), `(%a+)` ([%d.]+)$"
    local surely, maybe = count_reached(goal, values)
    assert.is_true(tonumber(enough) >= surely and tonumber(enough) <= maybe, said[i])
    assert.are.equal(#goal.each, tonumber(all), said[i])
    assert.are.equal(math.min(table.unpack(values)), figure(worst, key), said[i])
    assert_figure(figure(worst, key), word, goal.what)
    if enough == all then reached = reached + 1 end
  end
  return #goal.keys, reached, reached
end

local function judge_any(goal, words)
  local list = goal.figures or goal.peer and {{table.concat(goal.peer, " "), "ratio"}}
  if words ~= "not measured" then
    if goal.each then return judge_each(goal, words) end
    return judge(goal, list, words)
  end
  local missing = false
  for _, key in ipairs(list or {}) do missing = missing or not figure(key[1], key[2]) end
  for _, op in ipairs(goal.each or {}) do missing = missing or not cases[op] end
  assert.is_true(missing, goal.what .. ": not measured")
  return 0, 0, 0
end

-- All that may stand under "met".
local function verdicts(goal, count, surely, maybe)
  local list = {}
  for reached = surely, maybe do
    if count == 0 or reached == count then
      list[count == 0 and "-" or "yes"] = true
    else
      list[(reached > 0 and "in part" or "no") .. (goal.why and ": " .. goal.why or "")] = true
    end
  end
  return list
end

describe("the table of goals", function()
  it("is the same in README.md and in results.md, and of the same machine", function()
    assert.are.same(rows_of(results), rows_of(shown))
    assert.are.equal(assert(results:match "\n([^\n]+), by `tests/bench/run.sh`%. "),
      shown:match "^\nMeasured by `tests/bench/run.sh` on ([^\n]+); %[all of it%]")
  end)

  it("has the goals, limits and reasons of goals.lua, and the figures of the tables below it", function()
    local rows = rows_of(results)
    assert.are.equal(#goals, #rows)
    for i, goal in ipairs(goals) do
      local what, limit, measured, met, indexed = table.unpack(rows[i])
      assert.are.equal(goal.what, what)
      assert.are.equal((goal.least and "at least " or "at most ") .. (goal.least or goal.most), limit)
      assert.is_true(verdicts(goal, judge_any(goal, measured))[met], ("%s: %s, met: %s"):format(what, measured, met))
      if goal.indexed then judge(goal, goal.indexed, indexed) else assert.are.equal("", indexed) end
    end
  end)
end)
