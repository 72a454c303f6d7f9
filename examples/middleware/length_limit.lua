-- Refuses user messages that are too long for the model behind the host.
--
-- config.maxCharacters   how many characters a user message may have (default 8000)
--
-- The host gets the code "tooLong" with the message below, and nothing is stored: ctx:reject ends the op.

local config = ...
local limit = config and config.maxCharacters or 8000

return {
  name = "length-limit",
  on = {
    add = function(op, next, ctx)
      local length = utf8.len(op.content)
      if op.role == "user" and length > limit then
        ctx:reject("tooLong", ("the message has %d characters, at most %d are allowed"):format(length, limit))
      end
      return next(op)
    end,
  },
}
