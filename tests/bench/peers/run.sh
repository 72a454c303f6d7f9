#!/usr/bin/env bash
# Measures Holdfast beside what its users would otherwise pick; README.md says what the cases are.
#   tests/bench/peers/run.sh [-r ROUNDS] [-s SECONDS] [-p PROGRAM] [PEER...]     luasql, redis, tarantool, postgres; all
# Prints a line of JSON for each case, once all rounds are done. A peer that cannot be had is told on standard error, and
# left out. -s: how long a slice takes; -p: Holdfast's side, already built, instead of building it into build/bench.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. tests/support/packages.sh
here=tests/bench/peers

# The peer's case | what it is | the cases of holdfast.c that it is compared with
cases=(
    'luasql-1|5 functions that pass the op on, one transaction an add|add-lua-5'
    'luasql-batch-100|5 functions that pass the op on, one transaction for 100 adds|add-lua-5-batch-100'
    'redis-everysec-1|a function in Lua, appendfsync everysec, 1 client|add-normal-1'
    'redis-everysec-50|a function in Lua, appendfsync everysec, 50 clients|add-normal-inflight'
    'redis-always-1|a function in Lua, appendfsync always, 1 client|add-full-1'
    'redis-always-50|a function in Lua, appendfsync always, 50 clients|add-full-64'
    'tarantool-write-64|5 before_replace triggers, wal_mode write, 64 fibers|add-normal-inflight add-normal-inflight-lua-5'
    'tarantool-fsync-64|5 before_replace triggers, wal_mode fsync, 64 fibers|add-full-inflight add-full-inflight-lua-5'
    'postgres-off-1|a trigger in PL/pgSQL, synchronous_commit off, 1 client|add-normal-1'
    'postgres-off-16|a trigger in PL/pgSQL, synchronous_commit off, 16 clients|add-normal-64'
    'postgres-on-1|a trigger in PL/pgSQL, synchronous_commit on, 1 client|add-full-1'
    'postgres-on-16|a trigger in PL/pgSQL, synchronous_commit on, 16 clients|add-full-64'
)

rounds=5 seconds=0.5 program=
while getopts r:s:p: option; do
    case $option in
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    p) program=$OPTARG ;;
    *) sed -n '3p' "$0" >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- luasql redis tarantool postgres
for peer; do
    [[ " luasql redis tarantool postgres " == *" $peer "* ]] || { echo "peers: there is no peer $peer" >&2 && exit 2; }
done

if [ -z "$program" ]; then
    need_packages "${build_packages[@]}" "${test_packages[@]}" >&2
    [ -f build/bench/CMakeCache.txt ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
    cmake -S . -B build/bench -D CMAKE_BUILD_TYPE=Release >/dev/null
    cmake --build build/bench --target peers_holdfast >&2
    program=build/bench/tests/peers_holdfast
fi

# A kilobyte of text, the same for everyone.
printf -v CONTENT 'The tool returned %d files, and one of them looks odd: shall we read it? ' {101..120}
export CONTENT=${CONTENT:0:1024}

folder=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-peers-XXXXXX")
chmod 711 "$folder" # a server that refuses root comes through
declare -A to=() from=() version=()
pids=()
# shellcheck disable=SC2317 # called by the trap
finish() {
    for fd in "${to[@]}"; do exec {fd}>&-; done
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 143' INT TERM HUP PIPE

# start NAME COMMAND: leaves it running, at the other end of two pipes. It says `ready` with its name and version.
start() {
    local name=$1 command=$2 fd line=
    mkdir -m 700 "$folder/$name"
    mkfifo "$folder/$name.in" "$folder/$name.out"
    "$command" "$folder/$name" <"$folder/$name.in" >"$folder/$name.out" &
    pids+=($!)
    exec {fd}>"$folder/$name.in"
    to[$name]=$fd
    exec {fd}<"$folder/$name.out"
    from[$name]=$fd
    IFS= read -r line <&"$fd" && [[ $line == 'ready '* ]] && version[$name]=${line#ready }
}

# slice NAME CASE: the ops per second, in `ops`. What others left to be written does not fall into its time.
slice() {
    sync -f "$folder"
    sleep 0.1
    echo "$2 $seconds" >&"${to[$1]}"
    IFS= read -r ops <&"${from[$1]}" || { echo "peers: $1 ended in $2" >&2 && exit 1; }
}

start holdfast "$program"
for peer; do
    start "$peer" "$here/$peer.sh" || echo "peers: $peer cannot be had, and is left out" >&2
done

# compare CASE WHAT BASELINE…: a slice of the case and of each of its baselines, the other way round every other round.
compare() {
    local case=$1 what=$2 peer=${1%%-*} baseline theirs ops
    shift 2
    local -A ours=()
    [ $((round % 2)) = 0 ] || for baseline; do slice holdfast "$baseline" && ours[$baseline]=$ops; done
    slice "$peer" "$case"
    theirs=$ops
    [ $((round % 2)) = 1 ] || for baseline; do slice holdfast "$baseline" && ours[$baseline]=$ops; done
    for baseline; do
        printf '%s\t%s\t%s\t%s\t%s\n' "$case" "${version[$peer]}: $what" "$baseline" "$theirs" "${ours[$baseline]}"
    done
}

for ((round = 0; round < rounds; round++)); do
    for line in "${cases[@]}"; do
        IFS='|' read -r name what baselines <<<"$line"
        # shellcheck disable=SC2086 # several baselines
        [ -z "${version[${name%%-*}]:-}" ] || compare "$name" "$what" $baselines
    done
done >"$folder/slices"
lua5.4 "$here/report.lua" <"$folder/slices"
