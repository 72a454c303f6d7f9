-- Walks over a text byte by byte, in all the ways that there are.
-- expect: ok ms=5000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s, n = ("abc \u{e9} "):rep(20000), 0
  for i = 1, #s do n = n + s:byte(i) end
  for i = 1, #s do if s:sub(i, i) == " " then n = n + 1 end end
  for p, c in utf8.codes(s) do n = n + p + c end
  for w in s:gmatch "%a+" do n = n + #w end
  local packed = string.pack(("<I4"):rep(100), table.unpack((function()
    local t = {}
    for i = 1, 100 do t[i] = i end
    return t
  end)())):rep(300)
  for p = 1, #packed, 4 do n = n + string.unpack("<I4", packed, p) end
  op.metadata = {n = n}
  return next(op)
end}
