-- Sort, gsub, tostring, pcall and xpcall, each within the other.
-- expect: middleware timeout
return {ops = {"add"}, handle = function(op, next)
  if op.content ~= "attack" then return next(op) end
  local function f()
    pcall(function()
      xpcall(function()
        tostring(setmetatable({}, {__tostring = function()
          table.sort({2, 1}, function() ("x"):gsub(".", f) return false end)
          return "x"
        end}))
      end, function(e) return e end)
    end)
  end
  f()
  error "done"
end}
