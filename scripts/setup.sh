#!/usr/bin/env bash
# Sets up everything the studio needs, in .venv and apps/web_admin/node_modules; what is there already is left alone.
#
#   scripts/setup.sh [run|test]     run: what the studio runs with (default); test: what its tests need on top
#
#   STUDIO_PYTHON       a Python 3.11 to use instead of the one found
#   STUDIO_TORCH_INDEX  a package index to take PyTorch from, such as one of CUDA builds
#
# Python packages come from wherever pip is set to look, and each is checked against the hashes in requirements/.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-run}
case $mode in run) lock=requirements/base.txt ;; test) lock=requirements/test.txt ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;; esac

TORCH=2.13.0
PAGE=apps/web_admin
LOGS=.cache/setup
mkdir -p "$LOGS"
begun=$SECONDS
step=0
steps=6
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "$*"; }
title() {
  step=$((step + 1))
  say "[$step/$steps] $* ($((SECONDS - begun)) s)"
}
die() {
  printf '\nSet-up stopped: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# What a command is doing now: the last line of its log that means something to a reader.
doing() { grep -aE '^ *(Collecting|Downloading|Installing|Get:|Unpacking|Setting up|added|vite|Selecting)' "$1" 2>/dev/null | tail -n 1 | cut -c1-96; }

# watched NAME COMMAND...: runs it with its output in a log, shows that it lives, and the end of the log if it fails.
watched() {
  local name=$1 log=$LOGS/$1.log from=$SECONDS shown=$SECONDS code=0
  shift
  "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  trap 'kill "$pid" 2>/dev/null || true; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - shown)) -ge 10 ]; then
      shown=$SECONDS
      say "      $((SECONDS - from)) s  $(doing "$log")"
    fi
  done
  wait "$pid" || code=$?
  trap - INT TERM
  if [ "$code" != 0 ]; then
    say "      $name failed (exit $code); the end of $log:"
    tail -n 25 "$log" | sed 's/^/      | /'
  fi
  return "$code"
}

# again NAME COMMAND...: as watched, three times at most, since most failures here are the network's.
again() {
  local try
  for try in 1 2 3; do
    watched "$@" && return 0
    [ "$try" = 3 ] || { say "      trying once more in $((try * 5)) s"; sleep $((try * 5)); }
  done
  return 1
}

as_root=()
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive); else as_root=(false); fi
fi
apt_ready=
# apt PACKAGE...: installs Debian packages; fails where there is no apt or no right to use it.
apt() {
  command -v apt-get >/dev/null || return 1
  [ "${as_root[*]:-}" != false ] || return 1
  if [ -z "$apt_ready" ]; then
    again apt-update "${as_root[@]}" apt-get update -q || return 1
    apt_ready=1
  fi
  again apt-install "${as_root[@]}" apt-get install -y -q --no-install-recommends "$@"
}

# --- system packages -------------------------------------------------------------------------------------------------
is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; }
makes_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
find_python() {
  local candidate
  for candidate in "${STUDIO_PYTHON:-}" python3.11 /usr/bin/python3.11 python3 python; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null && is_311 "$candidate" && makes_venv "$candidate"; then
      command -v "$candidate" && return 0
    fi
  done
  return 1
}
has_library() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } | grep -q "$1"; }

title "System packages"
needed=() useful=()
venv_works() { [ -x .venv/bin/python ] && is_311 .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }
if ! venv_works && ! find_python >/dev/null; then needed+=(python3.11 python3.11-venv); fi
command -v node >/dev/null || needed+=(nodejs)
command -v npm >/dev/null || needed+=(npm)
if [ "$(uname -s)" = Linux ]; then
  has_library libportaudio.so.2 || useful+=(libportaudio2)
  command -v flite >/dev/null || useful+=(flite)
  if [ "$mode" = test ]; then
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || useful+=(chromium)
    command -v redis-server >/dev/null || useful+=(redis-server)
    [ -n "$(fc-list :lang=zh 2>/dev/null | head -n 1)" ] || useful+=(fonts-noto-cjk fontconfig)
  fi
fi
missing=("${needed[@]}" "${useful[@]}")
if [ ${#missing[@]} -gt 0 ]; then
  say "      installing ${missing[*]}"
  if ! apt "${missing[@]}"; then
    case " ${needed[*]} " in *" python3.11 "*)
      if ! command -v uv >/dev/null; then
        die "Python 3.11 is missing and cannot be installed from here." \
          "Debian 12:           apt-get install python3.11 python3.11-venv" \
          "Ubuntu:              the packages python3.11 and python3.11-venv, from the deadsnakes archive where Ubuntu has none" \
          "any system with uv:  uv python install 3.11, then run this again" \
          "a Python elsewhere:  STUDIO_PYTHON=/path/to/python3.11 $0 $mode"
      fi ;;
    esac
    command -v npm >/dev/null || apt nodejs npm || die "Node.js and npm are missing." \
      "Install the packages nodejs and npm (Node 20 or later is best), then run this again."
    [ ${#useful[@]} = 0 ] || say "      going on without: ${useful[*]} (what needs them says so)"
  fi
fi

# --- Python ----------------------------------------------------------------------------------------------------------
title "Python environment in .venv"
if ! venv_works; then
  rm -rf .venv
  if python=$(find_python); then
    watched venv "$python" -m venv .venv || die "no environment could be made with $python."
  else
    watched venv uv venv --quiet --seed --python 3.11 .venv || die "no environment could be made with uv."
  fi
fi
py=.venv/bin/python

# The page needs nothing of Python, so it is made at the same time.
page() {
  set -euo pipefail
  # An older Node, as Debian 12 has, makes npm leave out the optional packages that hold the build's native parts.
  if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    local own=$PWD/.cache/node
    [ -x "$own/node_modules/.bin/node" ] || npm install --no-audit --no-fund --loglevel=error --prefix "$own" node@22.23.3 npm@11 </dev/null
    export PATH=$own/node_modules/.bin:$PATH
  fi
  cd "$PAGE"
  local lock_sum source_sum
  lock_sum=$(sha256sum package-lock.json | cut -d' ' -f1)
  if [ "$(cat node_modules/.studio-stamp 2>/dev/null)" != "$lock_sum" ]; then
    local try
    for try in 1 2 3; do
      npm ci --no-audit --no-fund --loglevel=error </dev/null && break
      [ "$try" != 3 ] || return 1
      sleep $((try * 5))
    done
    echo "$lock_sum" >node_modules/.studio-stamp
  fi
  source_sum=$(find . \( -name node_modules -o -name dist -o -name tests -o -name test-results -o -name playwright-report \) -prune \
    -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
  if [ "$(cat dist/.studio-stamp 2>/dev/null)" != "$source_sum" ]; then
    npm run build </dev/null
    echo "$source_sum" >dist/.studio-stamp
  fi
}
page_pid=
if [ -f "$PAGE/package-lock.json" ]; then
  page >"$LOGS/page.log" 2>&1 &
  page_pid=$!
fi

title "PyTorch $TORCH"
if ! "$py" -c "from importlib.metadata import version as v; import sys; sys.exit(v('torch').split('+')[0] != '$TORCH')" 2>/dev/null; then
  index=()
  if [ -n "${STUDIO_TORCH_INDEX:-}" ]; then
    index=(--index-url "$STUDIO_TORCH_INDEX")
  fi
  command -v nvidia-smi >/dev/null || [ -n "${STUDIO_TORCH_INDEX:-}" ] ||
    say "      no NVIDIA card here: STUDIO_TORCH_INDEX=<an index of PyTorch's CPU builds> makes this a tenth of the download"
  again torch "$py" -m pip install --progress-bar off "${index[@]}" "torch==$TORCH" || die "PyTorch could not be installed." \
    "Look at $LOGS/torch.log. STUDIO_TORCH_INDEX names another package index to take it from."
fi

title "Python packages of $lock"
sum=$(sha256sum "$lock" | cut -d' ' -f1)
stamp=.venv/.studio-$mode
if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
  again packages "$py" -m pip install --progress-bar off --no-deps --require-hashes -r "$lock" ||
    die "the Python packages could not be installed." "Look at $LOGS/packages.log."
  echo "$sum" >"$stamp"
  # The test packages hold those of running, at the same versions.
  [ "$mode" != test ] || sha256sum requirements/base.txt | cut -d' ' -f1 >.venv/.studio-run
fi

title "The page"
if [ -n "$page_pid" ]; then
  shown=$SECONDS
  while kill -0 "$page_pid" 2>/dev/null; do
    sleep 0.2
    [ $((SECONDS - shown)) -lt 10 ] || { shown=$SECONDS && say "      still building"; }
  done
  if ! wait "$page_pid"; then
    tail -n 25 "$LOGS/page.log" | sed 's/^/      | /'
    die "the page could not be built." "Look at $LOGS/page.log."
  fi
fi

title "Check"
"$py" - <<'PY' || die "an installed package does not load." "Remove .venv and run this again."
import importlib.util as find
absent = [name for name in ("torch", "fastapi", "av", "aiortc", "cv2", "mediapipe", "espeakng_loader") if not find.find_spec(name)]
raise SystemExit(f"absent: {absent}" if absent else 0)
PY
say "Set up in $((SECONDS - begun)) s."
