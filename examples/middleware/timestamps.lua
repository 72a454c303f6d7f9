-- Logs how long each op took below this layer, and how it ended. It observes: `op` goes on as it came,
-- and so does the result. As the outermost layer it times the whole chain.
--
-- config.slowMs   only ops that took at least this long are logged (default 0: all)
--
-- "*" names every op, the reads included; without `ops` a layer gets the writes. `onError = "continue"`
-- says that a defect in here must not cost the host its write.

local config = ...
local slow_ms = config and config.slowMs or 0

return {
  name = "timestamps",
  ops = {"*"},
  onError = "continue",
  handle = function(op, next, ctx)
    local began = ctx:now()
    local done, result = pcall(next, op)
    local took = ctx:now() - began
    if took >= slow_ms then
      ctx:log("info", op.op .. (done and "" or " failed"), {startedAt = began, tookMs = took})
    end
    if not done then error(result, 0) end -- from below: it goes on unchanged
    return result
  end,
}
