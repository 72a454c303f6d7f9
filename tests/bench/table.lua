-- Draws the table of the JSON lines on standard input: lua5.4 tests/bench/table.lua FOLDER_OF_HOLDFAST_SO
package.cpath = arg[1] .. "/?.so"
local decode = require "holdfast".json.decode

print(("%-18s %9s %9s  %-13s %6s  %-15s  %s"):format("case", "us", "ops/s", "against", "ratio", "quartiles", ""))
for line in io.lines() do
  local case = decode(line)
  local compared = case.baseline and ("%-13s %6.3f  %.3f to %.3f"):format(case.baseline, case.ratio, case.low, case.high)
  print(("%-18s %9.2f %9.0f  %-37s  %s"):format(case.case, case.us, case.opsPerSecond, compared or "", case.what))
end
