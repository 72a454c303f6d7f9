-- Draws the table of the JSON lines on standard input: lua5.4 tests/bench/table.lua FOLDER_OF_HOLDFAST_SO
package.cpath = arg[1] .. "/?.so"
local decode = require "holdfast".json.decode

local function chain(case)
  local compared = case.baseline and ("%-12s %6.3f  %.3f-%.3f %8.2f %9.3f"):format(case.baseline, case.ratio, case.low,
    case.high, case.addedUs, case.sustained)
  return ("%-17s %8.2f %8.2f %8.0f  %-50s  %s"):format(case.case, case.us, case.meanUs, case.opsPerSecond,
    compared or "", case.what)
end

local function stream(case)
  return ("%-13s %8.2f %8.2f %10.1f %10.1f %6.3f  %.3f-%.3f %10.2f %8.1f  %s"):format(case.case, case.ms, case.us,
    case.firstUs, case.lastUs, case.ratio, case.low, case.high, case.walPages, case.walTimes, case.what)
end

local function growth(case)
  return ("%-13s %8d %8.2f %6.3f  %.3f-%.3f  %s"):format(case.case, case.rows, case.us, case.ratio, case.low, case.high,
    case.what)
end

-- What tells the lines of a program, its heading, and how it draws a line.
local programs = {
  {"deltas", ("%-13s %8s %8s %10s %10s %6s  %-11s %10s %8s"):format("case", "ms", "us", "first us", "last us", "ratio",
    "quartiles", "WAL pages", "x text"), stream},
  {"rows", ("%-13s %8s %8s %6s  %-11s"):format("case", "rows", "us", "ratio", "quartiles"), growth},
  {"case", ("%-17s %8s %8s %8s  %-12s %6s  %-11s %8s %9s"):format("case", "us", "mean us", "ops/s", "against", "ratio",
    "quartiles", "added us", "sustained"), chain},
}

local headed = false
for line in io.lines() do
  local case = decode(line)
  for _, program in ipairs(programs) do
    if case[program[1]] then
      if not headed then print(program[2]) end
      headed = true
      print(program[3](case))
      break
    end
  end
end
