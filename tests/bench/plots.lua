-- The plots of report.lua, drawn by gnuplot: opaque, so that they can be read on a dark page as well.
local plots = {}

local head = [[
set terminal svg size 760,%d font "sans-serif,13" background "white" linewidth 1.2
set output "%s"
set border 3 lc "#444444"
set tics nomirror
set grid y lc "#dddddd"
set key outside right top spacing 1.2 noenhanced samplen 2
set style fill solid 0.9 noborder
set title "%s" noenhanced
]]

local colours = {"#0b6e99", "#d9730d", "#4d9a51", "#9065b0", "#c4453c", "#8a6d3b"}

local function column(rows)
  return "$data << end\n" .. table.concat(rows, "\n") .. "\nend\n"
end

-- ---- Lines ----------------------------------------------------------------------------------------------------------

-- `lines` are {title, {{x, y}, ...}}, each a block of the data. With `alone`, it is dashed, as what SQLite does alone is,
-- has the colour of the line before it, and no title.
local function draw_lines(lines)
  local blocks, parts, colour = {}, {}, 0
  for i, line in ipairs(lines) do
    local rows = {}
    for _, point in ipairs(line[2]) do rows[#rows + 1] = ("%s %s"):format(point[1], point[2]) end
    blocks[i] = table.concat(rows, "\n")
    if not line.alone then colour = colour + 1 end
    parts[i] = ("$data index %d using 1:2 with linespoints lc '%s' dt %d pt 7 ps 0.6 %s"):format(i - 1,
      colours[colour], line.alone and 2 or 1, line.alone and "notitle" or ("title '%s'"):format(line[1]))
  end
  return column {table.concat(blocks, "\n\n\n")} .. "plot " .. table.concat(parts, ", \\\n  ") .. "\n"
end

-- The points of a case for each x; nil where one was not measured.
local function points(cases, key, names)
  local list = {}
  for _, name in ipairs(names) do
    local case = cases[name[2]]
    if not case then return nil end
    list[#list + 1] = {name[1], case[key]}
  end
  return list
end

local function layers(cases)
  local lines = {}
  for _, op in ipairs {"add", "append", "get", "update", "mixed"} do
    local list = points(cases, "us", {{0, op}, {1, op .. "-lua-1"}, {5, op .. "-lua-5"}, {20, op .. "-lua-20"}})
    if not list then return nil end
    lines[#lines + 1] = {op, list}
  end
  return [[
set xlabel "Lua layers that pass the op on"
set ylabel "microseconds an op (median)"
set xtics (0, 1, 5, 20)
set yrange [0:*]
]] .. draw_lines(lines)
end

local bytes = {{100, "100"}, {1024, "1k"}, {16384, "16k"}, {262144, "256k"}, {1048576, "1m"}}

local function sizes(cases)
  local lines = {}
  for _, way in ipairs {{"normal", ""}, {"full", "-full"}} do
    for _, by in ipairs {"", "-sqlite"} do
      local names = {}
      for j, size in ipairs(bytes) do names[j] = {size[1], "size-" .. size[2] .. way[2] .. by} end
      local list = points(cases, "opsPerSecond", names)
      if not list then return nil end
      lines[#lines + 1] = {way[1], list, alone = by ~= ""}
    end
  end
  return [[
set logscale xy
set xlabel "bytes of content"
set ylabel "adds a second"
set xrange [80:1300000]
set xtics ("100 B" 100, "1 KiB" 1024, "16 KiB" 16384, "256 KiB" 262144, "1 MiB" 1048576)
]] .. draw_lines(lines)
end

local function growth(cases)
  local lines = {}
  for _, op in ipairs {"add", "add-indexed", "update", "get", "list", "search"} do
    for _, by in ipairs {"", "-sqlite"} do
      local names = {}
      for j, size in ipairs {{1e4, "10k"}, {1e5, "100k"}, {1e6, "1m"}} do
        names[j] = {size[1], op .. "-at-" .. size[2] .. by}
      end
      local list = points(cases, "us", names)
      if not list then return nil end
      lines[#lines + 1] = {op, list, alone = by ~= ""}
    end
  end
  return [[
set logscale x
set xlabel "messages in the store"
set ylabel "microseconds an op (median)"
set xrange [8000:1300000]
set xtics ("10,000" 1e4, "100,000" 1e5, "1,000,000" 1e6)
set yrange [0:*]
]] .. draw_lines(lines)
end

-- ---- Bars -----------------------------------------------------------------------------------------------------------

-- `rows` are {label, value, ...}, a bar for each value.
local function draw_bars(rows, titles)
  local lines, parts = {}, {}
  for i, row in ipairs(rows) do
    local cells = {('"%s"'):format(row[1])}
    for j = 2, #titles + 1 do cells[j] = tostring(row[j] or "?") end
    lines[i] = table.concat(cells, " ")
  end
  for i, title in ipairs(titles) do
    parts[i] = ("$data using %d:xtic(1) lc '%s' title '%s'"):format(i + 1, colours[i], title)
  end
  return "set style data histograms\nset style histogram clustered gap 1.5\nset xtics noenhanced rotate by 30 right\n"
    .. column(lines) .. "plot " .. table.concat(parts, ", \\\n  ") .. "\n"
end

local function ops(cases)
  local rows = {}
  for _, op in ipairs {"add", "add-indexed", "reserve", "append", "updateContent", "update", "delete", "abort", "get",
    "list", "read", "search", "markSeen", "createConversation", "updateConversation", "getConversation",
    "listConversations", "fork", "batch", "mixed"} do
    local case = cases[op]
    if not case then return nil end
    rows[#rows + 1] = {op, case.ratio, case.sustained}
  end
  return [[
set ylabel "speed, SQLite alone = 1"
set yrange [0:*]
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc "#444444" dt 3
set key outside top center horizontal
]] .. draw_bars(rows, {"medians of steps", "sustained"})
end

local function threads(cases)
  local rows = {}
  for _, way in ipairs {{"SQLite alone", "threads-sqlite"}, {"SQLite, 8 threads", "threads-sqlite-8"},
    {"1 thread", "threads-1"}, {"8 threads", "threads-8"}, {"64 threads", "threads-64"},
    {"64, 5 layers", "threads-64-lua-5"}, {"256 in flight", "submit-256"}, {"256, 5 layers", "submit-256-lua-5"}} do
    local normal, full = cases[way[2] .. "-normal"], cases[way[2] .. "-full"]
    if not normal or not full then return nil end
    rows[#rows + 1] = {way[1], normal.opsPerSecond, full.opsPerSecond}
  end
  return "set ylabel 'adds of 1 KiB a second'\nset yrange [0:*]\nset format y \"%.0f\"\n"
    .. draw_bars(rows, {"normal", "full"})
end

local function streams(cases)
  local rows = {}
  for _, way in ipairs {{"append", "stream-append"}, {"append, 5 Lua layers", "stream-append-lua-5"},
    {"rows, SQLite alone", "stream-append-sqlite"}, {"rewritten, SQLite alone", "stream-sqlite"},
    {"updateContent", "stream-update"}} do
    local case = cases[way[2]]
    if not case then return nil end
    rows[#rows + 1] = {way[1], case.us * case.deltas / 1000}
  end
  return "set ylabel 'milliseconds a stream'\nset yrange [0:*]\nset nokey\n" .. draw_bars(rows, {"stream"})
end

-- ---- All ------------------------------------------------------------------------------------------------------------

-- Those with `page` are shown in README.md as well.
local all = {
  {name = "ops", page = true, title = "Each op against SQLite alone doing the same", body = ops, height = 440},
  {name = "layers", page = true, title = "What Lua layers add, with budgets", body = layers},
  {name = "threads", page = true, title = "Many writers: one commit for those that wait", body = threads},
  {name = "sizes", title = "add by size of the content (dashed: SQLite alone)", body = sizes},
  {name = "growth", title = "Ops by size of the store (dashed: SQLite alone)", body = growth},
  {name = "streams", page = true, title = "Storing a reply of 500 deltas of 80 bytes, each before the next", body = streams},
}

-- Draws those whose cases are all there into the folder, and returns them.
function plots.draw(cases, folder)
  local drawn = {}
  for _, plot in ipairs(all) do
    local body = plot.body(cases)
    if body then
      local gnuplot = assert(io.popen("gnuplot", "w"))
      gnuplot:write(head:format(plot.height or 400, folder .. "/" .. plot.name .. ".svg", plot.title), body)
      assert(gnuplot:close(), "gnuplot failed")
      drawn[#drawn + 1] = plot
    end
  end
  return drawn
end

return plots
