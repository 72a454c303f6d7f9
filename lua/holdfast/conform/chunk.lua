-- chunk: what a compiled chunk of Lua 5.4 says of itself, without being run.
--
-- Gives, for the text of string.dump: `globals`, each use of one, {line, name, member = of a library, written}, in
-- the order of the code; `functions`, the line where the function in each field of that name begins, and under 1 that of
-- the last; `idempotent`, whether a table is made with idempotent = true. A name is a global where _ENV is the chunk's own.

-- Opcodes of Lua 5.4.
local MOVE, LOADK, GETUPVAL, GETTABUP, GETTABLE, GETFIELD, SETTABUP, SETFIELD, CLOSURE = 0, 3, 9, 11, 12, 14, 15, 18, 79

local Reader = {}
Reader.__index = Reader

function Reader:byte()
  self.at = self.at + 1
  return self.chunk:byte(self.at - 1)
end

function Reader:integer()
  local number = 0
  while true do
    local byte = self:byte()
    number = number << 7 | byte & 0x7f
    if byte >= 0x80 then return number end
  end
end

function Reader:take(size)
  self.at = self.at + size
  return self.chunk:sub(self.at - size, self.at - 1)
end

function Reader:text()
  local size = self:integer()
  return size > 0 and self:take(size - 1) or nil
end

function Reader:list(read)
  local items = {}
  for i = 0, self:integer() - 1 do items[i] = read(self) end
  return items
end

function Reader:constant()
  local tag = self:byte()
  if tag == 4 or tag == 20 then return self:text() end -- short and long strings
  if tag == 3 or tag == 19 then return self:take(8) end -- numbers, which nobody asks for
  return tag == 17 -- true; false and nil are the same here
end

-- One function: its instructions and constants count from 0. An upvalue is {in_stack, index}.
function Reader:fn()
  self:text() -- the source's name
  local fn = {first = self:integer()}
  self:integer() -- the last line
  self:take(3)
  fn.code = self:list(function() return (("<I4"):unpack(self:take(4))) end)
  fn.constants = self:list(self.constant)
  fn.upvalues = self:list(function() return {in_stack = self:byte() == 1, index = self:byte(), kind = self:byte()} end)
  fn.inner = self:list(self.fn)
  local steps = self:list(function() return (("<i1"):unpack(self:take(1))) end)
  local fixed = {}
  self:list(function()
    local pc = self:integer()
    fixed[pc] = self:integer()
  end)
  local line = fn.first
  fn.lines = {}
  for pc = 0, #steps do
    if steps[pc] then line = fixed[pc] or line + steps[pc] end
    fn.lines[pc] = line
  end
  self:list(function() return self:text(), self:integer(), self:integer() end)
  self:list(self.text) -- names of the upvalues
  return fn
end

return function(chunk)
  local facts = {globals = {}, functions = {}, idempotent = false}
  local header = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1 -- signature to number format, and the count of upvalues
  local function scan(fn, is_env)
    local closures = {} -- by register, the line of the function in it
    local function name(fields)
      facts.globals[#facts.globals + 1] = fields
    end
    for pc = 0, #fn.code do
      local code = fn.code[pc] or 0
      local before, previous = fn.code[pc - 2] or 0, fn.code[pc - 1] or 0
      local op, a, k, b, c = code & 0x7f, code >> 7 & 0xff, code >> 15 & 1, code >> 16 & 0xff, code >> 24
      local line = fn.lines[pc]
      if op == GETTABUP and is_env[b] then
        name {line = line, name = fn.constants[c]}
      elseif op == SETTABUP and is_env[a] then
        name {line = line, name = fn.constants[b], written = true}
      elseif op == GETTABLE and previous & 0x7f == LOADK and before & 0x7f == GETUPVAL and is_env[before >> 16 & 0xff]
        and before >> 7 & 0xff == b then -- with more than 256 constants
        name {line = line, name = fn.constants[previous >> 15]}
      elseif op == GETFIELD and previous & 0x7f == GETTABUP and is_env[previous >> 16 & 0xff]
        and previous >> 7 & 0xff == b then
        name {line = line, name = fn.constants[previous >> 24], member = fn.constants[c]}
      elseif op == CLOSURE then
        closures[a] = fn.inner[code >> 15].first
        facts.functions[1] = closures[a]
      elseif op == MOVE then
        closures[a] = closures[b]
      elseif op == SETFIELD and k == 1 then
        if fn.constants[b] == "idempotent" then facts.idempotent = fn.constants[c] == true end
      elseif op == SETFIELD then
        facts.functions[fn.constants[b]] = closures[c]
      end
    end
    for i = 0, #fn.inner do
      local inner, inner_env = fn.inner[i], {}
      for j = 0, inner and #inner.upvalues or -1 do
        local upvalue = inner.upvalues[j]
        inner_env[j] = upvalue and not upvalue.in_stack and is_env[upvalue.index]
      end
      if inner then scan(inner, inner_env) end
    end
  end
  scan(setmetatable({chunk = chunk, at = header + 1}, Reader):fn(), {[0] = true})
  return facts
end
