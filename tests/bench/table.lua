-- Draws the table of the JSON lines on standard input: lua5.4 tests/bench/table.lua FOLDER_OF_HOLDFAST_SO
package.cpath = arg[1] .. "/?.so"
local decode = require "holdfast".json.decode

-- What a line has beside the columns that all have.
local more = {"writesPerSecond", "lastByFirst", "residentKiB", "sqliteKiB"}

local function cell(format, value)
  return value and format:format(value) or ""
end

local columns = "%-28s %9s %9s %9s  %-26s %6s  %-13s %9s %9s  %s"
print(columns:format("case", "us", "mean us", "ops/s", "against", "ratio", "quartiles", "added us", "sustained", "what"))
for line in io.lines() do
  local case = decode(line)
  local what = {case.what}
  for _, key in ipairs(more) do
    what[#what + 1] = case[key] and ("%s %s"):format(key, case[key])
  end
  local quartiles = case.low and ("%.3f-%.3f"):format(case.low, case.high) or ""
  print(columns:format(case.case, cell("%.2f", case.us or case.count), cell("%.2f", case.meanUs),
    cell("%.0f", case.opsPerSecond), case.baseline or "", cell("%.3f", case.ratio), quartiles,
    cell("%.2f", case.addedUs), cell("%.3f", case.sustained), table.concat(what, "; ")))
end
