-- That an op costs no more than it did, where that can be counted: counts.lua PROGRAM runs cases of the group `counted`
-- of `bench` and holds them to the limits below. Pages are held to those of SQLite alone as well, whatever its version.
local limits = {
  ["pages-add"] = 5.1, -- 4.95 over a thousand
  ["pages-append"] = 1.1,
  ["pages-updateContent"] = 5.1,
  ["pages-update"] = 1,
  ["pages-delete"] = 5.4,
  ["allocations-add"] = 1,
  ["allocations-append"] = 0.1, -- one for each anchor
  ["allocations-updateContent"] = 1,
  ["allocations-get"] = 2,
  ["allocations-list"] = 5,
}
local share = 1.02 -- of the pages of SQLite alone

local names, found, failed = {}, 0, {}
for name in pairs(limits) do names[#names + 1] = name end
table.sort(names)

local bench = assert(io.popen(("'%s' -r 1 -s 200 %s"):format(arg[1], table.concat(names, " "))))
for line in bench:lines() do
  local name, count = line:match '"case":"([^"]+)".*"count":([%d.]+)'
  local limit, ratio = limits[name], tonumber(line:match '"ratio":([%d.]+)')
  count = tonumber(count)
  if limit then
    print(("%-28s %7.3f, at most %.1f%s"):format(name, count, limit, ratio and ("; SQLite by it %.3f"):format(ratio) or ""))
    found = found + 1
    if count > limit then failed[#failed + 1] = ("%s: %.3f, at most %.1f"):format(name, count, limit) end
    if name:find "^pages" and not (ratio and ratio >= 1 / share) then
      failed[#failed + 1] = ("%s: more than SQLite alone, which comes to %s of it"):format(name, ratio)
    end
  end
end
assert(bench:close(), "bench failed")
if found ~= #names then failed[#failed + 1] = ("expected %d cases, found %d"):format(#names, found) end
assert(#failed == 0, table.concat(failed, "\n"))
