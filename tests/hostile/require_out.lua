-- require of what is not below its folder.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  for _, name in ipairs {"..secret", "../secret", "/etc/passwd", "....etc.passwd", "a/../../x", "", ".", "a..b", "x\0y",
                         "unit.test", ("a"):rep(1e6), ("a."):rep(1e5) .. "a", "holdfast.middleware", "io", "debug", "lfs",
                         "hostile.link"} do
    if pcall(require, name) then error(("require %q succeeded"):format(name:sub(1, 40))) end
  end
  return next(op)
end}
