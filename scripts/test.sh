#!/usr/bin/env bash
# Sets up everything and runs the whole test suite; with arguments, only pytest, with these.
#
#   scripts/test.sh                     style, types, floors, the page, the page in Chromium, pytest
#   scripts/test.sh tests/speech -k zh  pytest alone, as named
set -uo pipefail
cd "$(dirname "$0")/.."
export CI=${CI:-true}

bash scripts/setup.sh test </dev/null || exit 1
bin=$PWD/.venv/bin
# One thread for each numeric library: the tests run several processes, which would fight over the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}

if [ $# -gt 0 ]; then
  exec "$bin/python" -m pytest "$@" </dev/null
fi

begun=$SECONDS
failed=()
part() {
  local name=$1 from=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  if "$@" </dev/null; then
    printf '=== %s: passed in %s s\n' "$name" "$((SECONDS - from))"
  else
    failed+=("$name")
    printf '=== %s: FAILED after %s s\n' "$name" "$((SECONDS - from))"
  fi
}
page() { (cd apps/web_admin && npm run --silent "$@"); }

part "format (ruff)" "$bin/ruff" format --check .
part "style (ruff)" "$bin/ruff" check .
part "floors (import-linter)" "$bin/lint-imports"
part "types (mypy)" "$bin/mypy"
if [ -f apps/web_admin/package.json ]; then
  part "page: types made from OpenAPI" page gen -- --check
  part "page: types" page typecheck
  part "page: style" page lint
  part "page: tests" page test
  part "page: build" page build
  if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then
    part "page: in Chromium with the real control API" page e2e
  else
    printf '\n=== page in Chromium: SKIPPED, there is no Chromium here (Debian package chromium)\n'
  fi
fi
part "pytest" "$bin/python" -m pytest -m "not realtime" --numprocesses 2 --dist loadfile
part "pytest: what plays in real time" "$bin/python" -m pytest -m realtime

printf '\nThe whole suite took %s min %s s.\n' "$(((SECONDS - begun) / 60))" "$(((SECONDS - begun) % 60))"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "Everything passed."
