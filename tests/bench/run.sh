#!/usr/bin/env bash
# Builds the benchmark into build/bench, runs it, and prints a table.
#   tests/bench/run.sh                       everything; writes results.md and plots/ beside this script
#   tests/bench/run.sh -r 400 'add*'         more rounds of some cases, and of what they are compared with
#   tests/bench/run.sh threads streams       groups; `run.sh -l` lists cases and groups
# The JSON lines stay in build/bench/results.jsonl.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/support/packages.sh

need_packages "${build_packages[@]}" "${test_packages[@]}"
[ -f build/bench/CMakeCache.txt ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S . -B build/bench -D CMAKE_BUILD_TYPE=Release -D HOLDFAST_BUILD_TESTS=ON >/dev/null
cmake --build build/bench --target bench holdfast_module --parallel "$(nproc)" >&2
case " $* " in *" -l "*) exec build/bench/tests/bench "$@" ;; esac
build/bench/tests/bench "$@" | tee build/bench/results.jsonl | lua5.4 tests/bench/table.lua build/bench/lua
