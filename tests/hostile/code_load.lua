-- Compiled code and text, by all ways.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local code = "\27Lua" .. ("\0"):rep(100)
  for _, name in ipairs {"load", "loadstring", "loadfile", "dofile", "debug", "io", "package", "coroutine", "dump",
                         "collectgarbage", "print", "warn"} do
    if _G[name] ~= nil then error(name .. " is there") end
  end
  if string.dump or os.execute or os.getenv or os.exit or os.remove then error "os is there" end
  pcall(require, code)
  return next(op)
end}
