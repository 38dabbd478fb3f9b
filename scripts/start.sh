#!/usr/bin/env bash
# Sets up everything, starts the studio and prints one URL; Ctrl-C ends it.
#
#   scripts/start.sh [--demo] [--port N] [--data-dir DIR]
#
#   --demo   also makes a take of its own, trains an avatar from it and leaves it talking
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh run </dev/null
exec .venv/bin/python scripts/studio.py "$@"
