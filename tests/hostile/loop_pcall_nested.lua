-- Catches the error of the budget at each of many levels, each of which goes on.
-- expect: timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function level(n)
    while true do
      if n > 0 then pcall(level, n - 1) end
    end
  end
  level(150)
end}
