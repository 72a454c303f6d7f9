#!/usr/bin/env bash
# Redis 7 on a unix socket, with a function in Lua (redis.lua), and redis-benchmark as its client.
#   redis.sh FOLDER    reads lines "CASE SECONDS", answers each with the adds per second; the content is in CONTENT
#
# Comparable: each add stores the message and its conversation's times at once, through one function in Lua, and is
# answered when the log holds it: forced to disk (appendfsync always, one fsync for all that came in together), or
# handed to the system and forced once a second (everysec), which survives a crash of the process as `normal` does.
# Not comparable: it is a server, so each add crosses a socket twice, by a client on the second core; all rows live in
# memory, and starting again means reading the log; there is no page to write nor to check point, since the log is not
# rewritten here; ids are random, the time comes from the client, nothing looks whether the id or the conversation is
# there. Redis has one thread for commands; threads for sockets do not help on two cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../support/packages.sh"

# Debian's redis-tools holds the program of the server, under another name, without a service that would be started.
if ! command -v redis-server >/dev/null && ! command -v redis-check-rdb >/dev/null; then
    need_packages redis-tools >&2
fi
program=$(command -v redis-server || command -v redis-check-rdb)

socket=$1/redis.sock
server=
# shellcheck disable=SC2317 # called by the trap
stop() {
    trap '' INT TERM HUP # who is told twice still waits for the server
    [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
}
trap stop EXIT
trap 'exit 143' INT TERM HUP

(exec -a redis-server "$program" --port 0 --unixsocket "$socket" --unixsocketperm 700 --dir "$1" --save '' \
    --appendonly yes --appendfsync everysec --auto-aof-rewrite-percentage 0 --logfile "$1/log") </dev/null >&2 &
server=$!
for ((i = 0; i < 100; i++)); do
    [ "$(redis-cli -s "$socket" ping 2>/dev/null)" != PONG ] || break
    sleep 0.1
done
redis-cli -s "$socket" -x FUNCTION LOAD <"$here/redis.lua" >/dev/null

# bench CLIENTS ADDS: the adds per second.
bench() {
    redis-benchmark -s "$socket" -c "$1" -n "$2" -r 2147483647 --csv FCALL add 2 \
        01980000-0000-7000-8000-__rand_int__ c1 user "$CONTENT" "$(date +%s%3N)" </dev/null | tail -n 1 |
        awk -F '","' '{ print $(NF - 6) }'
}

# redis-benchmark counts adds, not time: the last slice of the case says how many make the next.
declare -A rates=()
version=$(redis-cli -s "$socket" INFO server | tr -d '\r' | sed -n 's/^redis_version://p')
echo "ready Redis $version"
while read -r case seconds; do
    mode=${case#redis-}
    clients=${mode#*-}
    redis-cli -s "$socket" CONFIG SET appendfsync "${mode%-*}" >/dev/null
    rate=${rates[$case]:-$(bench "$clients" $((100 * clients)))}
    rates[$case]=$(bench "$clients" "$(awk -v rate="$rate" -v seconds="$seconds" 'BEGIN { print int(rate * seconds) }')")
    echo "${rates[$case]}"
done
