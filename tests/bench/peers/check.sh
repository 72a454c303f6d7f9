#!/usr/bin/env bash
# That the scripts of this folder still work, at no time that anybody looks at: check.sh PROGRAM, Holdfast's side.
# Every case of Holdfast runs, and run.sh with the one peer that has no server; 77 where LuaSQL is not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-peers-check-XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

fail() {
    echo "peers: $*" >&2
    exit 1
}

for script in "$here"/*.sh; do
    bash -n "$script" || fail "$script is no script"
    if command -v shellcheck >/dev/null; then
        shellcheck -x -S warning -P "$here" "$script" || fail "$script: see above"
    fi
done

# Each case of run.sh has its peer, and its baselines are cases of Holdfast.
mapfile -t baselines < <(sed -n "s/^    '[a-z0-9-]*|.*|\(add-.*\)'$/\1/p" "$here/run.sh" | tr ' ' '\n' | sort -u)
[ ${#baselines[@]} -eq "$(grep -c '^    {"add-' "$here/holdfast.c")" ] || fail "run.sh and holdfast.c differ in their cases"
mkdir "$TMPDIR/stores"
printf '%s 0.02\n' "${baselines[@]}" | CONTENT='some text' "$1" "$TMPDIR/stores" >"$TMPDIR/rates"
[ "$(grep -cE '^[1-9][0-9]*\.[0-9]$' "$TMPDIR/rates")" = ${#baselines[@]} ] || fail "not every case did an op"
rm -rf "$TMPDIR/stores" "$TMPDIR/rates"

! "$here/run.sh" -p "$1" -r 1 nobody 2>/dev/null || fail "a peer that is not there was run"
if ! lua5.4 -e 'require "luasql.sqlite3"' 2>/dev/null; then
    echo "skipped: lua-sql-sqlite3 is not installed"
    exit 77
fi
lines=$("$here/run.sh" -p "$1" -r 2 -s 0.05 luasql)
number='[0-9.]+'
pattern="^\{\"group\":\"peers\",\"case\":\"luasql-(1|batch-100)\",\"what\":\"LuaSQL [^\"]+\",\"opsPerSecond\":$number,\"baseline\":\"add-\
[a-z0-9-]+\",\"baselineOpsPerSecond\":$number,\"ratio\":$number,\"low\":$number,\"high\":$number\}$"
[ "$(grep -cE "$pattern" <<<"$lines")" = 2 ] || fail "expected two lines of JSON, found: $lines"
left=$(ls -A "$TMPDIR")
[ -z "$left" ] || fail "run.sh left behind: $left"
