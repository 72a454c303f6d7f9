-- What the benchmark is measured by. `figures` are looked up in its JSON lines, {case, key}; all of them have to reach
-- the limit: at least `least`, or at most `most`. A goal with `each` looks at one case for each op. Those with `peer` are
-- about the lines that peers/run.sh prints. `why` is the reason, where a goal is not met.
return {
  {
    what = "`add`, 1 KiB, no layer, one thread, against bare SQLite",
    least = 0.97,
    figures = {{"row-add", "ratio"}, {"add", "ratio"}},
    indexed = {{"row-add-indexed", "ratio"}, {"add-indexed", "ratio"}},
  },
  {
    what = "the same with five Lua layers and budgets, against no layer",
    least = 0.97,
    figures = {{"row-add-lua-5", "ratio"}, {"add-lua-5", "ratio"}},
    indexed = {{"row-add-indexed-lua-5", "ratio"}, {"add-indexed-lua-5", "ratio"}},
    why = "an op and its answer become tables that any layer may look at: some 3 us for the first layer, 0.4 for each more",
  },
  {
    what = "each other op that writes, against bare SQLite doing the same",
    least = 0.92,
    each = {"reserve", "append", "updateContent", "update", "delete", "abort", "markSeen", "createConversation",
      "updateConversation", "fork", "deleteConversation", "batch"},
    keys = {"sustained", "ratio"},
  },
  {
    what = "each op that reads, against the same",
    least = 0.92,
    each = {"get", "list", "read", "search", "getConversation", "listConversations"},
    keys = {"ratio"},
    why = "each row is checked, as anybody may edit the file, and copied into memory of the caller's",
  },
  {
    what = "a turn of an agent, 26 ops of 7 kinds, against the same",
    least = 0.92,
    figures = {{"row-mixed", "ratio"}, {"mixed", "ratio"}},
  },
  {
    what = "pages written to the WAL for each `add`",
    most = 4.5,
    figures = {{"pages-add", "count"}},
    why = "as many as SQLite alone: row, two indexes and the conversation's times are a page each, the growing file is one more",
    indexed = {{"pages-add-indexed", "count"}},
  },
  {
    what = "`add`, `full`, 64 threads, against bare SQLite with a commit for each",
    least = 7,
    figures = {{"threads-64-full", "ratio"}},
  },
  {
    what = "`add`, `full`, 256 in flight from one thread, against the same",
    least = 10,
    figures = {{"submit-256-full", "ratio"}},
  },
  {
    what = "`add` at 1,000,000 rows against 10,000",
    least = 0.92,
    figures = {{"add-at-1m", "ratio"}},
    why = "SQLite alone loses as much: the trees are deeper",
    indexed = {{"add-indexed-at-1m", "ratio"}},
  },
  {
    what = "a stream of 500 deltas by `append` against rewriting the content in bare SQLite",
    least = 3,
    figures = {{"stream-append", "ratio"}},
  },
  {
    what = "allocations of our own for each `add`, no layer",
    most = 3,
    figures = {{"allocations-add", "count"}},
    indexed = {{"allocations-add-indexed", "count"}},
  },
  {
    what = "`add`, `full`, 64 threads, against Redis `always`, 50 clients",
    least = 1.7,
    peer = {"redis-always-50", "add-full-64"},
    why = "one thread at a time does the work of all, and shares two cores with 63 that wake and wait; Redis only adds to a log",
  },
  {
    what = "the same against PostgreSQL, 16 clients",
    least = 2.5,
    peer = {"postgres-on-16", "add-full-64"},
    why = "one thread at a time does the work of all, and shares two cores with 63 that wake and wait",
  },
  {
    what = "`add`, `normal`, in flight, against Redis `everysec`, 50 clients",
    least = 1.3,
    peer = {"redis-everysec-50", "add-normal-inflight"},
    why = "an `add` writes some 5 KiB to the WAL, and much of it again to the file; Redis adds 1 KiB to a log",
  },
  {
    what = "`add`, `full`, in flight, against Tarantool `fsync`, 64 fibers and five triggers",
    least = 1.3,
    peer = {"tarantool-fsync-64", "add-full-inflight"},
    why = "Tarantool has only its log on the disk",
  },
  {
    what = "`add` with five layers against LuaSQL with five functions",
    least = 1.6,
    peer = {"luasql-1", "add-lua-5"},
    why = "most of either is SQLite's own work, checkpoints included",
  },
  {
    what = "the same in batches of 100",
    least = 3,
    peer = {"luasql-batch-100", "add-lua-5-batch-100"},
    why = "SQLite's own work is the same for either, and the five layers cost about as much again",
  },
}
