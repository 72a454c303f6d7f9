#!/usr/bin/env bash
# LuaSQL on SQLite, in a process of its own; luasql.lua says what is comparable. As every script of a peer:
#   luasql.sh FOLDER    reads lines "CASE SECONDS", answers each with the adds per second; the content is in CONTENT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../support/packages.sh"

lua5.4 -e 'require "luasql.sqlite3"' 2>/dev/null || need_packages lua5.4 lua-sql-sqlite3 >&2
exec lua5.4 "$here/luasql.lua" "$1"
