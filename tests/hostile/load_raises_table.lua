-- Raises an error of its own making while it is loaded.
-- expect: odd load
error {code = "odd", message = ("m"):rep(1e6)}
