-- holdback: lets a layer hold text back on a stream, so that what it waits for need not become durable.
--
--   local holdback = require "holdfast.holdback"
--   return {name = "mine", on = holdback(cut)}
--
-- `cut(tail, delta, op, ctx)` is called for each `append`, and for an `abort`, with delta "". `tail` is what it
-- held back of this message so far, nil for nothing. It returns the text that goes on to the layers below, the new
-- tail, and how many bytes are held back (left out: the tail's length). At an abort (`op.op == "abort"`) all should go:
-- no more is to come. What it returns may depend on tail and delta alone, and it leaves the old tail as it is.
--
-- Gives the handlers for `on`: append, abort, updateContent, delete, deleteConversation. A layer with work of its own in
-- one of them puts its function in the handler's place, and calls the handler in there.
--
-- Why the tails are kept as they are: ctx.state is memory and no part of the transaction. So a tail is filed under the
-- seq of the append that left it, and the store says which seq is the last. After a failed op or batch that is the one
-- before, whose tail is still there; an append that is repeated starts from the same tail as the first time. What belongs
-- to the past goes only once the op is in the store.

local PRUNE_EVERY = 64 -- appends: where nothing was held, pruning at each would cost more than it saves

local function is_same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not is_same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

-- The last seq of a message, and its state; nothing where there is no such message.
local function look_up(ctx, id)
  local good, result = pcall(ctx.exec, ctx, {op = "read", messageId = id, after = math.maxinteger})
  if good then return result.seq, result.state end
  if result.code ~= "notFound" then error(result, 0) end
end

-- Calls `forget` once the op is in the store, unless a message of this id got more text in the same transaction.
local function after_commit(ctx, stream, forget)
  local count = stream.count
  ctx:afterCommit(function()
    if stream.count == count then forget() end
  end)
end

-- Forgets a stream that the op has ended.
local function settle(ctx, id)
  local streams = ctx.state
  local stream = streams[id]
  if stream == nil then return end
  local _, state = look_up(ctx, id)
  if state == "reserved" or state == "streaming" then return end
  after_commit(ctx, stream, function() streams[id] = nil end)
end

local function append(cut, op, next, ctx)
  local streams, id = ctx.state, op.messageId
  local stream = streams[id]
  local last = op.seq and op.seq - 1
  local before = stream and last and stream[last]
  if last == nil or (before == nil and last > 0) then
    local stored = look_up(ctx, id)
    if stored == nil then
      next {op = "append", messageId = id, delta = "", seq = op.seq} -- the store says that there is no such message
      ctx:reject("notFound", ("message \"%s\" cannot be read"):format(id)) -- a layer below hides it
    end
    last = last or stored
    before = stream and stream[last]
  end
  local seq = last + 1
  local delta, tail, held = cut(before, op.delta, op, ctx)
  held = held or tail and #tail or 0
  local known = stream and stream[seq]
  if op.seq and known ~= nil and not is_same(known, tail) and (look_up(ctx, id) or 0) >= seq then
    ctx:reject("conflict", ("append %d of message \"%s\" is stored, and was another text"):format(seq, id))
  end
  if delta ~= op.delta then op = {op = "append", messageId = id, delta = delta, seq = op.seq} end -- a retry wants its own
  local result = next(op)
  if stream == nil then
    if tail == nil then return result end
    stream = {count = 0}
    streams[id] = stream
  end
  stream[seq] = tail
  stream.count = stream.count + 1
  if held > 0 or stream.held or seq % PRUNE_EVERY == 0 then -- a tail that held text goes soon
    stream.held = held > 0
    after_commit(ctx, stream, function()
      for other in pairs(stream) do
        if math.type(other) and other < last then stream[other] = nil end
      end
    end)
  end
  if held > 0 then result.held = (result.held or 0) + held end
  return result
end

-- What is held goes out before the message ends. Where the store does not take it, of another owner's message for one,
-- the message ends without.
local function release(cut, op, ctx)
  local stream = ctx.state[op.messageId]
  if stream == nil then return end
  local seq, state = look_up(ctx, op.messageId)
  local tail = (state == "reserved" or state == "streaming") and stream[seq]
  local delta = tail and cut(tail, "", op, ctx) or ""
  if delta == "" then return end
  local good, err = pcall(ctx.exec, ctx, {op = "append", messageId = op.messageId, delta = delta})
  if not good then
    ctx:log("warn", "what was held back is not stored", {messageId = op.messageId, code = err.code})
  end
end

local function ends(op, next, ctx)
  local result = next(op)
  settle(ctx, op.messageId)
  return result
end

return function(cut)
  return {
    append = function(op, next, ctx) return append(cut, op, next, ctx) end,
    abort = function(op, next, ctx)
      release(cut, op, ctx)
      return ends(op, next, ctx)
    end,
    updateContent = ends,
    delete = ends,
    deleteConversation = function(op, next, ctx)
      local result = next(op)
      for id in pairs(ctx.state) do settle(ctx, id) end
      return result
    end,
  }
end
