#!/usr/bin/env bash
# Installs what is missing, builds into build/default, and runs all tests. Arguments go to ctest:
#   tests/run.sh -L unit      only the unit tests
#   tests/run.sh -R redact    only the tests whose name says redact
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh

need_packages "${build_packages[@]}" "${test_packages[@]}"
build default -D HOLDFAST_BUILD_TESTS=ON -D HOLDFAST_WERROR=ON
ctest --preset default --parallel "$(nproc)" "$@"
