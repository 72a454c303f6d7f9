-- The program in the hands of a spec: run to its end, or kept running as a writer that can be killed. Everything
-- lives in a folder that goes away with `clean`.

local holdfast = require "holdfast"

package.path = "tests/spec/?.lua;" .. package.path
local support = require "support"

local program = {}
local folder, writers

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

function program.start()
  local pipe <close> = assert(io.popen "mktemp -d")
  folder, writers = pipe:read "l", {}
  return folder .. "/store.db"
end

function program.clean()
  for _, writer in ipairs(writers) do writer:kill() end
  os.execute("rm -rf " .. quote(folder))
end

function program.path(name) return folder .. "/" .. name end

function program.lines(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  return list
end

function program.sleep(seconds) os.execute("sleep " .. seconds) end

-- What `look` gives, once it gives something; an error after ten seconds.
function program.wait_for(what, look)
  for _ = 1, 500 do
    local found = look()
    if found then return found end
    program.sleep(0.02)
  end
  error("waited in vain for " .. what, 2)
end

local function command_of(arguments)
  local words = {quote(support.program)}
  for _, argument in ipairs(arguments) do words[#words + 1] = quote(argument) end
  return table.concat(words, " ")
end

-- Runs the program; its exit status, standard output and standard error.
function program.call(...)
  local out, err = program.path "out", program.path "err"
  local _, how, status = os.execute(("%s >%s 2>%s </dev/null"):format(command_of {...}, quote(out), quote(err)))
  assert(how == "exit", how)
  return status, support.read(out), support.read(err)
end

local function exited(path) return (support.read(path) or ""):match "^%d+\n" end

-- Starts the program beside the spec. What it prints is in `out` and `err`, its number in `pid`; `ended` waits for its
-- end and gives its exit status.
function program.begin(name, ...)
  local run = {pid_file = program.path(name .. ".pid"), out = program.path(name .. ".out"),
    err = program.path(name .. ".err"), status_file = program.path(name .. ".status")}
  local script = "{ sh -c 'echo $$ >\"$0\"; exec \"$@\"' %s %s </dev/null >%s 2>%s; echo $? >%s; } 2>/dev/null &"
  os.execute(script:format(quote(run.pid_file), command_of {...}, quote(run.out), quote(run.err), quote(run.status_file)))
  function run.printed(_) return support.read(run.out) end
  function run.said(_) return support.read(run.err) end
  function run.signal(_, signal)
    local pid = program.wait_for("its number", function() return exited(run.pid_file) end)
    os.execute(("kill -%s %s 2>/dev/null"):format(signal, pid))
  end
  function run.ended(_)
    return tonumber(program.wait_for("its end", function() return exited(run.status_file) end))
  end
  return run
end

-- A writer: `holdfast run` on the store, in a process of its own.
function program.writer(store)
  local number = #writers + 1
  local pid, out = program.path("writer" .. number), program.path("answers" .. number)
  local pipe = assert(io.popen(("echo $$ >%s; exec %s >%s"):format(quote(pid), command_of {"run", store}, quote(out)), "w"))
  local writer, asked = {}, 0
  -- Runs the op, and gives its answer.
  function writer.exec(_, op)
    asked = asked + 1
    pipe:write(holdfast.json.encode(op), "\n")
    pipe:flush()
    return program.wait_for("an answer to " .. op.op, function()
      local line = program.lines(support.read(out) or "")[asked]
      return line and holdfast.json.decode(line)
    end)
  end
  function writer.kill(_)
    if not pipe then return end
    os.execute("kill -9 $(cat " .. quote(pid) .. ")")
    pipe:close()
    pipe = nil
  end
  function writer.close(_)
    if pipe then pipe:close() end
    pipe = nil
  end
  writers[number] = writer
  return writer
end

return program
