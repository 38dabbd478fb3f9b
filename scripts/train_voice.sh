#!/usr/bin/env bash
# Recording to voice, no server:
#
#   scripts/train_voice.sh --voice WAV [--transcript FILE] --out DIR
#
#   --voice       one to three minutes of one person speaking
#   --transcript  a text file of what is said; recognised where there is none
#   --out         where the bundle goes; must not exist yet
#
# The last line on standard output is one JSON object with the voice's figures.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/python" ] || (cd "$root" && bash scripts/setup.sh run </dev/null >&2)
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$root/.venv/bin/python" -m speech.clone "$@"
