-- __len, __eq, __lt and __concat that call themselves.
-- expect: middleware
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local meta = {}
  local function new() return setmetatable({}, meta) end
  meta.__len = function(t) return #t end
  meta.__eq = function(a, b) return a == b end
  meta.__lt = function(a, b) return a < b end
  meta.__concat = function(a, b) return a .. b end
  for _, f in ipairs {function() return #new() end, function() return new() == new() end,
                      function() return new() < new() end} do
    pcall(f)
  end
  return new() .. new()
end}
