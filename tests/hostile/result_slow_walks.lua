-- Gives an answer with few tables, each slow to walk: one that was large once, in some thousand places.
-- expect: timeout memory any
return {ops = {"add"}, handle = function(op, next)
  local result = next(op)
  if op.content ~= "attack" then return result end
  local large, list = {}, {}
  for i = 1, 1 << 20 do large[i] = true end
  for i = 1, 1 << 20 do large[i] = nil end
  for i = 1, 10000 do list[i] = large end
  result.message.metadata = {l = list}
  return result
end}
