#!/usr/bin/env bash
# PostgreSQL 15 on a unix socket, with a trigger in PL/pgSQL (postgres.sql), and pgbench as its client.
#   postgres.sh FOLDER    reads lines "CASE SECONDS", answers each with the adds per second; the content is in CONTENT
#
# Comparable: a transaction of the message's row, an index on its id and one on its conversation, and the conversation's
# times, set by the trigger; an add is answered when its commit is on disk (synchronous_commit on; those that wait
# share an fsync), or in the server's memory (off). Each client writes into a conversation of its own, as our threads do.
# Not comparable: it is a server, so each add crosses a socket, and one process for each client wants one of the two cores;
# `off` loses the last commits where the server crashes, `normal` only where the power fails; no checkpoint falls
# into the run. Ids are of type uuid, 16 bytes. What it is given: statements prepared once, segments of the log made
# before, the least log (wal_level minimal), 256 MiB of buffers, warm connections: the first second of each is not counted.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../support/packages.sh"

bin=/usr/lib/postgresql/15/bin
if [ ! -x $bin/pgbench ]; then
    # A package that makes no server of the machine's own.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    dropin=/etc/postgresql-common/createcluster.d/holdfast-bench.conf
    trap '"${as_root[@]}" rm -f "$dropin"' EXIT
    "${as_root[@]}" mkdir -p "${dropin%/*}"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$dropin" >/dev/null
    need_packages postgresql-15 >&2
    "${as_root[@]}" rm "$dropin"
fi

# The server refuses root.
as_user=()
[ "$(id -u)" != 0 ] || as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
data=$1/data
server=
# shellcheck disable=SC2317 # called by the trap
stop() {
    trap '' INT TERM HUP # who is told twice still waits for the server
    # SIGINT: at once, but in order; a killed server would leave processes and shared memory.
    [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2>/dev/null || true
}
trap stop EXIT
trap 'exit 143' INT TERM HUP

[ "$(id -u)" != 0 ] || chown postgres "$1"
cd "$1"
"${as_user[@]}" $bin/initdb -D "$data" -U bench -A trust -E UTF8 --no-locale --no-sync --no-instructions </dev/null >log
cat >>"$data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$1'
max_connections = 32
shared_buffers = 256MB
wal_level = minimal
max_wal_senders = 0
wal_buffers = 16MB
min_wal_size = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
END
"${as_user[@]}" $bin/postgres -D "$data" </dev/null >>log 2>&1 &
server=$!
export PGHOST=$1 PGUSER=bench PGDATABASE=postgres
for ((i = 0; i < 100; i++)); do
    ! $bin/pg_isready -q || break
    sleep 0.1
done
$bin/psql -qX -v ON_ERROR_STOP=1 -f "$here/postgres.sql" </dev/null
# Segments of the log to write into again, as a server that runs for long has them.
for ((i = 0; i < 32; i++)); do
    echo "SELECT pg_logical_emit_message(false, '', ''); SELECT pg_switch_wal();"
done | $bin/psql -qX -v ON_ERROR_STOP=1 >/dev/null
$bin/psql -qX -c CHECKPOINT </dev/null

next_id=$(date +%s)000000 # ids in the order of time: each slice begins behind the last one
echo "ready PostgreSQL $($bin/psql -AtX -c 'SHOW server_version' </dev/null | cut -d ' ' -f 1)"
while read -r case _; do
    next_id=$((next_id + 10000000))
    mode=${case#postgres-}
    clients=${mode#*-}
    # pgbench knows whole seconds only, whatever was asked for, and tells of the first: the rest is what counts.
    PGOPTIONS="-c synchronous_commit=${mode%-*}" $bin/pgbench -n -M prepared -c "$clients" -j $((clients > 1 ? 2 : 1)) \
        -T 2 -P 1 -D n="$next_id" -D content="$CONTENT" -f "$here/postgres_add.sql" </dev/null >rates 2>&1 || {
        tail -n 20 rates >&2 && exit 1
    }
    awk '/^progress: 1\./ { first = $2; before = $2 * $4 }
        /^number of transactions actually processed/ { all = $NF }
        /^tps = / { printf "%.1f\n", (all - before) / (all / $3 - first) }' rates
done
