#!/usr/bin/env bash
# System headers are included only where their room is, includes never climb, and no file names what lies
# outside of the project.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0

# only HEADERS PLACES: the files below src and include that include one of HEADERS are below PLACES.
only() {
    local found
    found=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"](cjson/)?($1)[>\"]" src include | grep -vE "^($2)" || true)
    if [ -n "$found" ]; then
        printf 'may be included in %s only:\n%s\n' "$2" "$found" >&2
        status=1
    fi
}

# nowhere WHAT PATTERN: no file of the project matches.
nowhere() {
    local found
    found=$(grep -rnIE --exclude-dir=.git --exclude-dir='build*' -e "$2" . || true)
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$1" "$found" >&2
        status=1
    fi
}

only 'sqlite3(ext)?\.h' 'src/store/'
only '(lua|lauxlib|lualib|luaconf)\.h' 'src/script/|src/chain/|src/lua/|src/cli/check\.c:|include/holdfast_lua\.h:'
only 'cJSON(_Utils)?\.h' 'src/base/json\.c:'
nowhere 'an include that climbs out of its room' '#[[:space:]]*include[[:space:]]*"[^"]*[.][.]/'
nowhere 'the host of a package registry' '(registry[.][a-z]+[.]|npmj[s][.]|pyp[i][.]|pythonhoste[d]|crate[s][.]io|luarock[s][.]org|rubygem[s]|prox[y][.]golang|mave[n][.]|deb[.]debia[n])'
nowhere 'a path of one machine' '(^|[^[:alnum:]_.}])/(hom[e]|roo[t]|wor[k]|User[s])/'
exit $status
