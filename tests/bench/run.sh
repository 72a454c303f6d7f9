#!/usr/bin/env bash
# Builds the benchmark into build/bench, runs it, and prints a table.
#   tests/bench/run.sh                       everything, peers included; writes results.md and plots/ beside this script,
#                                            and the table of goals into README.md
#   tests/bench/run.sh -r 400 'add*'         more rounds of some cases, and of what they are compared with
#   tests/bench/run.sh threads streams       groups; run.sh -l lists cases and groups
# The JSON lines stay in build/bench/results.jsonl. TMPDIR says on which disk the stores are.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

here=tests/bench
results=build/bench/results.jsonl

# What the figures depend on, on one line.
describe_machine() {
    local model memory filesystem sqlite lua
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    memory=$(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)
    filesystem=$(df --output=fstype "${TMPDIR:-/tmp}" | tail -n 1)
    sqlite=$(pkg-config --modversion sqlite3)
    lua=$(lua5.4 -v | cut -d ' ' -f 2)
    echo "${model:-$(uname -m)}, $(nproc) cores, $memory GiB of memory, $filesystem, Linux $(uname -r)," \
        "SQLite $sqlite, Lua $lua, $(date +%F)"
}

need_packages "${build_packages[@]}" "${test_packages[@]}"
[ -f build/bench/CMakeCache.txt ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
cmake -S . -B build/bench -D CMAKE_BUILD_TYPE=Release -D HOLDFAST_BUILD_TESTS=ON >/dev/null
cmake --build build/bench --target bench holdfast_module --parallel "$(nproc)" >&2

case " $* " in *" -l "*) exec build/bench/tests/bench "$@" ;; esac
if [ $# -gt 0 ]; then
    build/bench/tests/bench "$@" | tee "$results" | lua5.4 $here/table.lua build/bench/lua
    exit
fi
need_packages gnuplot-nox
build/bench/tests/bench | tee "$results" | lua5.4 $here/table.lua build/bench/lua
$here/peers/run.sh | tee -a "$results"
mkdir -p $here/plots
lua5.4 $here/report.lua build/bench/lua $here "$(describe_machine)" <"$results"
echo "written: $here/results.md, $here/plots/, README.md" >&2
