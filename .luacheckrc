std = "lua54"
max_line_length = 132
exclude_files = {"build", "tests/hostile"}
files["tests/spec"] = {std = "lua54+busted"}
