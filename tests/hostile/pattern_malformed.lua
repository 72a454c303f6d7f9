-- Malformed patterns with control bytes, and huge ones.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  pcall(string.find, "x", "[" .. ("\0"):rep(1e6))
  pcall(string.gsub, "x", "x", "%\27")
  return ("x"):find "%f"
end}
