-- Answers with what is no result.
-- expect: badResult any
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function answer() return {op = "add", message = {id = 1, content = function() end}} end
  return answer()
end}
