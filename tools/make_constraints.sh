#!/usr/bin/env bash
# Writes constraints.txt: the newest versions that pyproject.toml allows, found by installing into an empty environment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check '.[dev]'
{
    echo "# The exact versions that this project is built and tested with, for every dependency down to the last."
    echo "# Made by \`make constraints\`; used by \`make setup\`."
    "$folder/venv/bin/pip" freeze --exclude stepswitch
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
