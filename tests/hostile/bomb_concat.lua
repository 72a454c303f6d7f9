-- table.concat of one text, very often.
-- expect: memory
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local part, list = ("x"):rep(1 << 20), {}
  for i = 1, 10000 do list[i] = part end
  return table.concat(list)
end}
