-- Gives very many texts of ten megabytes, each a number, to one call of math.max.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local s = ("0"):rep(10 << 20) .. "1"
  local function grow(call, n, ...)
    if n == 0 then return call(...) end
    return grow(call, n - 1, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, ...)
  end
  grow(math.max, 1000)
end}
