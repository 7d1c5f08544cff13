#!/bin/sh
# Run luacheck. When it is missing, install it from the Debian package lua-check, if apt-get may be used here.
set -eu

if ! command -v luacheck >/dev/null 2>&1; then
    as_root=''
    if [ "$(id -u)" -ne 0 ]; then
        as_root='sudo -n'
    fi
    if ! { command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null &&
        $as_root apt-get update -qq &&
        $as_root apt-get install -y -qq --no-install-recommends lua-check; }; then
        echo 'luacheck is missing: install the Debian package lua-check (or luacheck from LuaRocks), then try again.' >&2
        exit 127
    fi
fi

exec luacheck --no-color "$@"
