#!/usr/bin/env bash
# Builds the benchmark into build/bench, runs it, and prints a table. Arguments go to the benchmark:
#   tests/bench/run.sh -r 400 add-lua-5      more rounds, one case and what it is compared with
#   tests/bench/run.sh streams -r 50         another program of this folder: streams or growth
# The JSON lines stay in build/bench/results.jsonl.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/packages.sh

program=bench
case ${1:-} in
streams | growth)
    program=$1
    shift
    ;;
esac
need_packages "${build_packages[@]}" "${test_packages[@]}"
[ -f build/bench/CMakeCache.txt ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S . -B build/bench -D CMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/bench --target "$program" holdfast_module >&2
"build/bench/tests/$program" "$@" | tee build/bench/results.jsonl | lua5.4 tests/bench/table.lua build/bench/lua
