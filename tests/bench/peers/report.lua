-- Sums up the slices of run.sh, lines "case, what, baseline, the peer's ops per second, Holdfast's" parted by tabs: one
-- line of JSON for each case and baseline. The ratio is Holdfast's by the peer's, round by round: median and quartiles.

local function quantile(values, share)
  table.sort(values)
  return values[math.floor(share * (#values - 1) + 0.5) + 1]
end

local order, pairs_of = {}, {}
for line in io.lines() do
  local case, what, baseline, theirs, ours = line:match "^([^\t]+)\t([^\t]+)\t([^\t]+)\t([%d.]+)\t([%d.]+)$"
  assert(case, "not a slice: " .. line)
  local key = case .. "\t" .. baseline
  local pair = pairs_of[key]
  if not pair then
    pair = {case = case, what = what, baseline = baseline, theirs = {}, ours = {}, ratios = {}}
    pairs_of[key] = pair
    order[#order + 1] = pair
  end
  theirs, ours = tonumber(theirs), tonumber(ours)
  assert(theirs > 0, "nothing was done: " .. line)
  table.insert(pair.theirs, theirs)
  table.insert(pair.ours, ours)
  table.insert(pair.ratios, ours / theirs)
end

for _, pair in ipairs(order) do
  print(('{"group":"peers","case":"%s","what":"%s","opsPerSecond":%.0f,"baseline":"%s","baselineOpsPerSecond":%.0f,'
    .. '"ratio":%.3f,"low":%.3f,"high":%.3f}'):format(pair.case, pair.what, quantile(pair.theirs, 0.5), pair.baseline,
    quantile(pair.ours, 0.5), quantile(pair.ratios, 0.5), quantile(pair.ratios, 0.25), quantile(pair.ratios, 0.75)))
end
