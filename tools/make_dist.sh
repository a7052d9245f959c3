#!/usr/bin/env bash
# Makes what is released, in dist/: the wheel, the sources, and a bill of materials (CycloneDX) of the wheel installed with the exact versions
# of constraints.txt, so that everybody can see what the service is made of.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

rm -rf dist
.venv/bin/python -m build --outdir dist >"$folder/build.log" || { tail -n 20 "$folder/build.log" >&2; exit 1; }
wheel=$(ls dist/stepswitch-*-py3-none-any.whl)
.venv/bin/python -m venv --without-pip "$folder/installed"
.venv/bin/python -m pip --python "$folder/installed/bin/python" install --quiet --disable-pip-version-check "$wheel" --constraint constraints.txt
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) .venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
    --output-file "${wheel%-py3-none-any.whl}.cdx.json" "$folder/installed/bin/python"
(cd dist && sha256sum -- * >SHA256SUMS)
ls -1 dist
