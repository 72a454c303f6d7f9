#!/usr/bin/env bash
# Tarantool, an engine in memory with a log, in a process of its own without a listener; a fresh one for each slice.
#   tarantool.sh FOLDER    reads lines "CASE SECONDS", answers each with the adds per second; the content is in CONTENT
#
# Comparable: a transaction of the message's row and the conversation's times, by 64 fibers in the process, through five
# before_replace triggers in Lua that pass the row on; the log is forced to disk before an add returns (wal_mode fsync),
# many adds at once, or only handed to the system (write), which survives a crash of the process as `normal` does.
# Not comparable: the rows live in memory (memtx), and starting again means reading the log; there is no page to write
# nor to check point, since snapshots are off; the log is compressed, and the same content in every message makes
# next to nothing of it. A trigger gets a tuple, not a table to change, and has no sandbox, no budgets, no checks of
# what it hands on. All of that spares it work. Fibers are its own way to wait: nearest to hf_submit.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../support/packages.sh"

if ! command -v tarantool >/dev/null; then
    need_packages tarantool >&2
    # Else the package would be `lua` where there is none but 5.4. Its service has nothing to start.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" update-alternatives --remove lua-interpreter /usr/bin/tarantool >&2
fi

data=$1/data
running=
# shellcheck disable=SC2317 # called by the trap
stop() {
    trap '' INT TERM HUP # who is told twice still waits for the server
    [ -z "$running" ] || { kill -KILL "$running" && wait "$running"; } 2>/dev/null || true
    rm -rf "$data"
}
trap stop EXIT
trap 'exit 143' INT TERM HUP

echo "ready $(tarantool --version | sed -n "1s/-.*//p")"
while read -r case seconds; do
    mode=${case#tarantool-}
    rm -rf "$data"
    mkdir "$data"
    tarantool "$here/tarantool.lua" "$data" "${mode%-64}" "$seconds" </dev/null &
    running=$!
    wait "$running"
    running=
done
