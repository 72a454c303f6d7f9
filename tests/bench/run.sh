#!/usr/bin/env bash
# Builds the benchmark into build/bench, runs it, and prints a table. Arguments go to the benchmark:
#   tests/bench/run.sh -r 400 add-lua-5      more rounds, one case and what it is compared with
# The JSON lines stay in build/bench/results.jsonl.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/packages.sh

need_packages "${build_packages[@]}" "${test_packages[@]}"
[ -f build/bench/CMakeCache.txt ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S . -B build/bench -D CMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/bench --target bench holdfast_module >&2
build/bench/tests/bench "$@" | tee build/bench/results.jsonl | lua5.4 tests/bench/table.lua build/bench/lua
