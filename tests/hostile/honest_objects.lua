-- Objects with classes, inheritance, closers and operators.
-- expect: ok
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local Base = {}
  Base.__index = Base
  function Base.new(n) return setmetatable({n = n}, Base) end
  function Base:get() return self.n end
  Base.__add = function(a, b) return Base.new(a.n + b.n) end
  Base.__eq = function(a, b) return a.n == b.n end
  Base.__tostring = function(self) return "base " .. self.n end
  Base.__close = function(self) self.closed = true end
  local Derived = setmetatable({}, {__index = Base, __call = function(class, n) return setmetatable({n = n}, class) end})
  Derived.__index = Derived
  local kept
  do
    local closer <close> = Base.new(1)
    kept = closer
  end
  assert(kept.closed and getmetatable(kept) == Base and Derived(5):get() == 5)
  assert((Base.new(1) + Base.new(2)):get() == 3 and Base.new(1) == Base.new(1) and tostring(Base.new(7)) == "base 7")
  return next(op)
end}
