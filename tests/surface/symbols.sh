#!/usr/bin/env bash
# The ledger of public symbols, the headers and the shared library agree; the Lua module exports its opener alone
# and brings no Lua along.
# usage: symbols.sh LIBRARY MODULE
set -euo pipefail
export LC_ALL=C
library=$1 module=$2
cd "$(dirname "$0")/../.."
status=0

exports() {
    nm -D --defined-only "$1" | awk '$2 != "A" {print $3}' | sort
}

# compare WHAT EXPECTED FOUND
compare() {
    diff --label "$1: expected" --label "$1: found" -u <(echo "$2") <(echo "$3") || status=1
}

ledger=$(grep -v '^#' tests/surface/symbols.txt | cut -d ' ' -f 1)
header=$(cat include/*.h | tr '\n' ' ' | grep -oE 'HF_API [^;(]*\(' | grep -oE '(hf|luaopen)_[a-z_]+\($' | tr -d '(' | sort)

compare 'the ledger, in order' "$(sort -u <<<"$ledger")" "$ledger"
compare 'functions marked HF_API' "$ledger" "$header"
compare 'symbols of the shared library' "$ledger" "$(exports "$library")"
compare 'symbols of the Lua module' luaopen_holdfast "$(exports "$module")"
if readelf -d "$module" | grep -E 'NEEDED.*liblua'; then
    echo 'the Lua module must take Lua from its interpreter, and not link another one' >&2
    status=1
fi
exit $status
