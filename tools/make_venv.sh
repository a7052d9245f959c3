#!/usr/bin/env bash
# Makes a virtual environment in the folder that is named and installs the project into it. Called by the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: tools/make_venv.sh FOLDER}

is_new_enough() { command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ ! -x "$folder/bin/python" ]; then
    for python in python3.11 python3 ""; do
        [ -n "$python" ] || { echo "Python 3.11 or newer is needed; neither python3.11 nor python3 is one." >&2; exit 1; }
        is_new_enough "$python" && break
    done
    "$python" -m venv "$folder" || { echo "$python cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2; exit 1; }
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
