#!/usr/bin/env bash
# Writes the two lock files from pyproject.toml: what the studio runs with, and what its tests need on top (same versions).
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
compile=("$uv" pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --quiet
  --custom-compile-command scripts/lock.sh "$@")
"${compile[@]}" --extra test -o requirements/test.txt
"${compile[@]}" --constraint requirements/test.txt -o requirements/base.txt
echo "requirements/base.txt: $(grep -c '^[a-zA-Z]' requirements/base.txt) packages, requirements/test.txt: $(grep -c '^[a-zA-Z]' requirements/test.txt)"
