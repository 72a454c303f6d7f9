-- Makes a text of ten megabytes for each of many tables, within one call of string.format.
-- expect: timeout memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local t = setmetatable({}, {__name = ("x"):rep(10 << 20)})
  local function grow(n, ...)
    if n == 0 then return string.format(("%.1s"):rep(select("#", ...)), ...) end
    return grow(n - 1, t, t, t, t, t, t, t, t, t, t, ...)
  end
  grow(100)
end}
