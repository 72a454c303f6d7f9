#!/usr/bin/env bash
# Installs a build into a prefix of its own, builds consumers against that, each way there is, and runs them.
# usage: run.sh BUILD GENERATOR CC CXX LUA
set -euo pipefail
build=$1 generator=$2 cc=$3 cxx=$4 lua=$5
here=$(cd "$(dirname "$0")" && pwd)
prefix=$build/consumer-prefix work=$build/consumer
rm -rf "$prefix" "$work"
mkdir -p "$work"

cmake --install "$build" --prefix "$prefix" >/dev/null
libdir=$(dirname "$(find "$prefix" -name libholdfast.a)")
export LD_LIBRARY_PATH=$libdir PKG_CONFIG_PATH=$libdir/pkgconfig

echo "find_package"
cmake -G "$generator" -S "$here" -B "$work/cmake" -D CMAKE_PREFIX_PATH="$prefix" -D CMAKE_C_COMPILER="$cc" \
    -D CMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$work/cmake" >/dev/null
for program in c_shared c_static cpp_shared cpp_static; do
    "$work/cmake/$program"
done

echo "pkg-config"
read -ra flags < <(pkg-config --cflags --libs holdfast)
"$cc" -std=c11 "$here/consumer.c" "${flags[@]}" -o "$work/c_shared"
"$work/c_shared"
read -ra flags < <(pkg-config --static --cflags --libs holdfast | sed 's/-lholdfast/-l:libholdfast.a/')
"$cc" -std=c11 "$here/consumer.c" "${flags[@]}" -o "$work/c_static"
env -u LD_LIBRARY_PATH "$work/c_static"

echo "require"
LUA_PATH="$prefix/share/lua/5.4/?.lua" LUA_CPATH="$prefix/lib/lua/5.4/?.so" \
    "$lua" "$here/consumer.lua" "$work/lua.db"

echo "program"
"$prefix/bin/holdfast" version
"$prefix/bin/holdfast" show "$work/lua.db" c1 | grep -q hello
