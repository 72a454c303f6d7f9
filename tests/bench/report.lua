-- Writes what was measured as Markdown and plots: report.lua FOLDER_OF_HOLDFAST_SO OUT_FOLDER MACHINE < JSON lines.
-- The table of goals, and some of the plots, also go between the marks in README.md, where it has them.
package.cpath = arg[1] .. "/?.so"
package.path = "tests/bench/?.lua"
local decode = require "holdfast".json.decode
local goals, plots = require "goals", require "plots"

local cases, groups, peers = {}, {}, {}
for line in io.lines() do
  local case = decode(line)
  if case.group == "peers" then
    peers[#peers + 1] = case
    peers[case.case .. " " .. case.baseline] = case
  else
    cases[case.case] = case
    groups[case.group] = groups[case.group] or {}
    table.insert(groups[case.group], case)
  end
end

local lines = {}
local function write(format, ...)
  lines[#lines + 1] = format:format(...)
end

local function read_file(path)
  local file = assert(io.open(path))
  return file:read "a", file:close()
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

-- ---- Numbers --------------------------------------------------------------------------------------------------------

local function figure(value)
  if not value then return "-" end
  return value >= 10 and ("%.1f"):format(value) or ("%.2f"):format(value)
end

-- With commas between thousands.
local function whole(value)
  if not value then return "-" end
  local text = ("%.0f"):format(value):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

local function ratio(case)
  return case and case.ratio and ("%.2f (%.2f-%.2f)"):format(case.ratio, case.low, case.high) or ""
end

-- ---- Goals ----------------------------------------------------------------------------------------------------------

local function reaches(goal, value)
  return goal.least and value >= goal.least or goal.most and value <= goal.most
end

-- The figures in words, and how many of them there are and reach the limit.
local function look_up(goal, list)
  local words, reached = {}, 0
  for _, key in ipairs(list) do
    local case = cases[key[1]]
    if not case then return "not measured", 0, 0 end
    words[#words + 1] = figure(case[key[2]])
    if reaches(goal, case[key[2]]) then reached = reached + 1 end
  end
  return table.concat(words, "; "), #list, reached
end

-- The same of a goal for each op: how many reach it, and the worst.
local function look_at_each(goal)
  local words, reached = {}, 0
  for _, key in ipairs(goal.keys) do
    local enough, worst = 0, nil
    for _, op in ipairs(goal.each) do
      local case = cases[op]
      if not case then return "not measured", 0, 0 end
      if reaches(goal, case[key]) then enough = enough + 1 end
      if not worst or case[key] < worst[key] then worst = case end
    end
    if enough == #goal.each then reached = reached + 1 end
    words[#words + 1] = ("%d of %d, `%s` %s"):format(enough, #goal.each, worst.case, figure(worst[key]))
  end
  return table.concat(words, "; "), #goal.keys, reached
end

local function look_at_peer(goal)
  local case = peers[table.concat(goal.peer, " ")]
  if not case then return "not measured", 0, 0 end
  return figure(case.ratio), 1, reaches(goal, case.ratio) and 1 or 0
end

local function write_goals()
  write("| goal | limit | measured | met | indexed |\n| --- | --- | --- | --- | --- |")
  for _, goal in ipairs(goals) do
    local words, count, reached
    if goal.each then words, count, reached = look_at_each(goal)
    elseif goal.peer then words, count, reached = look_at_peer(goal)
    else words, count, reached = look_up(goal, goal.figures) end
    local met = count == 0 and "-" or reached == count and "yes" or reached > 0 and "in part" or "no"
    if reached < count and goal.why then met = met .. ": " .. goal.why end
    write("| %s | %s %s | %s | %s | %s |", goal.what, goal.least and "at least" or "at most", goal.least or goal.most,
      words, met, goal.indexed and look_up(goal, goal.indexed) or "")
  end
  write("\nDurability is `normal` and nothing goes into the search index, unless the goal says so; the last column is the same "
    .. "with the index. Above 1, Holdfast is faster. Of a goal for many ops, the figure is how many reach it, and then the worst. "
    .. "Where there are two figures, the first is what a host gets, checkpoints included, and the second the hard one: the "
    .. "medians of steps, where no checkpoint and no neighbour counts. Both have to reach the limit. "
    .. "The first is the better one for most, since SQLite alone brings its WAL into the file on the thread that commits.\n")
end

local function write_plots(drawn, folder, some)
  for _, plot in ipairs(drawn) do
    if plot.page or not some then write("![%s](%s/%s.svg)\n", plot.title, folder, plot.name) end
  end
end

-- ---- All that was measured ------------------------------------------------------------------------------------------

local function write_ops()
  write("## Each op, and through layers\n\nMicroseconds an op (median of the steps), `normal`; ratios of SQLite alone and, "
    .. "through layers, of no layer.\n")
  write("| op | SQLite | Holdfast | ratio | sustained | 1 Lua | 5 Lua | 20 Lua | 5 without budgets | 5 in C |")
  write("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
  for _, case in ipairs(groups.ops or {}) do
    local alone = cases[case.case .. "-sqlite"]
    if alone then
      local row = {}
      for _, way in ipairs {"lua-1", "lua-5", "lua-20", "trusted-5", "c-5"} do
        local layered = cases[case.case .. "-" .. way]
        row[#row + 1] = layered and figure(layered.ratio) or ""
      end
      write("| %s | %s | %s | %s | %s | %s |", case.case, figure(alone.us), figure(case.us), ratio(case),
        figure(case.sustained), table.concat(row, " | "))
    end
  end
  write("\n`add` with more in it, against the case in the third column:\n")
  write("| case | what | against | us | ratio | sustained |\n| --- | --- | --- | --- | --- | --- |")
  for _, name in ipairs {"add-observe-5", "add-redact-audit", "add-metadata", "add-metadata-5"} do
    local case = cases[name]
    if case then
      write("| %s | %s | %s | %s | %s | %s |", case.case, case.what, case.baseline, figure(case.us), ratio(case),
        figure(case.sustained))
    end
  end
end

-- Each case of a group in a row; `more` are keys of its own.
local function write_group(name, title, more)
  if not groups[name] then return end
  write("\n## %s\n", title)
  write("| case | what | us | ops/s | against | ratio |%s", (" %s |"):rep(#more):format(table.unpack(more)))
  write("|%s", (" --- |"):rep(6 + #more))
  for _, case in ipairs(groups[name]) do
    local row = {}
    for i, key in ipairs(more) do
      row[i] = case[key] and (" %s |"):format(case[key] > 1000 and whole(case[key]) or figure(case[key])) or " |"
    end
    write("| %s | %s | %s | %s | %s | %s |%s", case.case, case.what, figure(case.us), whole(case.opsPerSecond),
      case.baseline or "", ratio(case), table.concat(row))
  end
end

local function write_counted()
  if not groups.counted then return end
  write("\n## Counted\n\n| case | what | count |\n| --- | --- | --- |")
  for _, case in ipairs(groups.counted) do
    write("| %s | %s | %s |", case.case, case.what, figure(case.count))
  end
end

local function write_peers()
  if not peers[1] then return end
  write("\n## Peers\n\nA ratio above 1 says that Holdfast is faster; [peers/README.md](peers/README.md) says what is "
    .. "comparable.\n")
  write("| peer | what | ops/s | Holdfast | ops/s | ratio |\n| --- | --- | --- | --- | --- | --- |")
  for _, case in ipairs(peers) do
    write("| %s | %s | %s | %s | %s | %s |", case.case, case.what, whole(case.opsPerSecond), case.baseline,
      whole(case.baselineOpsPerSecond), ratio(case))
  end
end

local drawn = plots.draw(cases, arg[2] .. "/plots")
write("# What was measured\n\n%s, by `tests/bench/run.sh`. [README.md](README.md) says what is compared.\n", arg[3])
write_goals()
write_plots(drawn, "plots")
write_ops()
write_group("rows", "Many in a row, checkpoints included", {})
write_group("sizes", "By size of the content", {})
write_group("batches", "Batches", {})
write_group("threads", "Threads, and many in flight", {})
write_group("readers", "Readers beside a writer", {"writesPerSecond"})
write_group("streams", "A stream of deltas", {"lastByFirst"})
write_group("entry", "JSON against structs", {})
write_group("growth", "By size of the store", {"residentKiB", "sqliteKiB"})
write_counted()
write_peers()
write_file(arg[2] .. "/results.md", table.concat(lines, "\n") .. "\n")

lines = {}
write("Measured by `tests/bench/run.sh` on %s; [all of it](%s/results.md), and [what is compared](%s/README.md).\n", arg[3],
  arg[2], arg[2])
write_goals()
write_plots(drawn, arg[2] .. "/plots", true)
local from, to = "<!-- measured -->\n", "<!-- /measured -->"
local page = read_file "README.md"
local begin, finish = page:find(from, 1, true), page:find(to, 1, true)
if begin and finish then
  write_file("README.md", page:sub(1, begin + #from - 1) .. table.concat(lines, "\n") .. "\n" .. page:sub(finish))
end
