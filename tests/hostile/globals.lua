-- Writes to every global and library, and to the stock modules.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  leaked = 1
  for _, t in ipairs {_G, string, table, math, utf8, os} do pcall(rawset, t, "leaked", 1) end
  for _, name in ipairs {"holdfast", "holdfast.json"} do
    local module = require(name)
    module.leaked, module.null, module.encode = 1, 1, 1
  end
  _G.pcall, _G.error, _G.require = nil, nil, nil
  return next(op)
end}
