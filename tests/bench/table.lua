-- Draws the table of the JSON lines on standard input: lua5.4 tests/bench/table.lua FOLDER_OF_HOLDFAST_SO
package.cpath = arg[1] .. "/?.so"
local decode = require "holdfast".json.decode

print(("%-17s %8s %8s %8s  %-12s %6s  %-11s %8s %9s  %s"):format("case", "us", "mean us", "ops/s", "against", "ratio",
  "quartiles", "added us", "sustained", ""))
for line in io.lines() do
  local case = decode(line)
  local compared = case.baseline and ("%-12s %6.3f  %.3f-%.3f %8.2f %9.3f"):format(case.baseline, case.ratio, case.low,
    case.high, case.addedUs, case.sustained)
  print(("%-17s %8.2f %8.2f %8.0f  %-50s  %s"):format(case.case, case.us, case.meanUs, case.opsPerSecond,
    compared or "", case.what))
end
