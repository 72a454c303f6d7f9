-- Gives the answer twenty thousand other names: an explanation looks for each among the others.
-- expect: ok timeout any ms=1000
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function names(letter)
    local made = {}
    for i = 1, 20000 do made[("x"):rep(30) .. letter .. i] = i end
    return made
  end
  op.metadata = names "a"
  local result = next(op)
  result.message.metadata = names "b"
  return result
end}
