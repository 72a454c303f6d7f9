-- Draws the table of the JSON lines on standard input: lua5.4 tests/bench/table.lua FOLDER_OF_HOLDFAST_SO
package.cpath = arg[1] .. "/?.so"
local decode = require "holdfast".json.decode

print(("%-26s %9s %9s %9s  %-22s %6s  %-13s %9s %9s  %s"):format("case", "us", "mean us", "ops/s", "against", "ratio",
  "quartiles", "added us", "sustained", "what"))
for line in io.lines() do
  local case = decode(line)
  local compared = case.baseline and ("%-22s %6.3f  %.3f-%.3f %9.2f %9.3f"):format(case.baseline, case.ratio, case.low,
    case.high, case.addedUs, case.sustained) or ""
  print(("%-26s %9.2f %9.2f %9.0f  %-63s  %s"):format(case.case, case.us, case.meanUs, case.opsPerSecond, compared,
    case.what))
end
