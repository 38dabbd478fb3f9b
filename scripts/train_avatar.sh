#!/usr/bin/env bash
# Take to bundle, no server:
#
#   scripts/train_avatar.sh --take FILE --out DIR [--engine E] [--steps N or --minutes M] [--device cpu or cuda]
#
#   --take   a recording with sound, or the folder of a prepared take
#   --out    where the bundle goes; must not exist yet
#
# The last line on standard output is one JSON object with the bundle's figures.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/python" ] || (cd "$root" && bash scripts/setup.sh run </dev/null >&2)
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$root/.venv/bin/python" -m lipsync.training "$@"
