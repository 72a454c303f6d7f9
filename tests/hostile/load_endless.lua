-- Never ends while it is loaded.
-- expect: timeout load
while true do pcall(error) end
