# Sourced by the scripts that build: what they need from Debian, and how it comes.

# shellcheck shell=bash
# What it takes to build the project and to run its tests.
build_packages=(gcc g++ cmake ninja-build pkg-config lua5.4 liblua5.4-dev libsqlite3-dev libcjson-dev)
# zlib1g-dev: `pkg-config --static` names it as a part of sqlite3.
test_packages=(binutils libcmocka-dev lua-busted zlib1g-dev)

# Installs those of the named packages that are missing. Fails with a message that names them where it cannot.
need_packages() {
    local package missing=() as_root=()
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
    fi
    echo "installing: ${missing[*]}"
    if ! "${as_root[@]}" true 2>/dev/null || ! command -v apt-get >/dev/null; then
        echo "these packages are missing, and installing them takes apt-get and root (or sudo without a password):" >&2
        echo "    apt-get install ${missing[*]}" >&2
        return 1
    fi
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
    # The lists of a fresh machine are empty, those of an old one stale: both show as a failed install.
    "${install[@]}" "${missing[@]}" </dev/null >/dev/null 2>&1 || {
        "${as_root[@]}" apt-get update -qq </dev/null && "${install[@]}" "${missing[@]}" </dev/null >/dev/null
    } || {
        echo "apt-get could not install: ${missing[*]}" >&2
        return 1
    }
}

# build PRESET [cmake option…]: configures and builds build/PRESET, from any folder, silent while all is well.
build() {
    local preset=$1
    shift
    [ -f "build/$preset/CMakeCache.txt" ] || export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
    cmake --preset "$preset" "$@" >/dev/null && cmake --build --preset "$preset" --parallel "$(nproc)"
}
