"""``python -m speech.clone``: train a voice from a recording; what ``scripts/train_voice.sh`` calls."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lipsync.bundle import read_manifest
from lipsync.errors import StudioError
from lipsync.progress import SilentProgress
from speech.clone.training import VoiceOptions, train_voice


class _Shown(SilentProgress):
    """Progress on standard error."""

    def __init__(self) -> None:
        self._stage = ""

    def stage(self, name: str) -> None:
        self._stage = name
        print(f"[{name}]", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Train, print one JSON line, return the exit status (1: cannot be trained on; the reasons are printed)."""
    parser = argparse.ArgumentParser(prog="train_voice.sh", description="Train a voice from a recording.")
    parser.add_argument("--voice", type=Path, required=True, help="sound file of one person speaking")
    parser.add_argument("--transcript", type=Path, help="text file of what is said")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; must not exist yet")
    parser.add_argument("--name", default="voice", help="name of the voice")
    parser.add_argument("--language", default="en", choices=("en", "zh"), help="language of the recording")
    parser.add_argument("--steps", type=int, default=VoiceOptions.steps, help="steps of the refinement")
    args = parser.parse_args(argv)
    try:
        text = args.transcript.read_text("utf-8") if args.transcript else None
        options = VoiceOptions(recorded_language=args.language, steps=args.steps)
        folder = train_voice(args.voice, args.out, name=args.name, transcript=text, options=options, progress=_Shown())
    except StudioError as error:
        print(
            json.dumps({"code": error.code, "message": error.message, "remedy": error.remedy, "detail": error.detail})
        )
        return 1
    except (OSError, UnicodeDecodeError) as error:
        print(json.dumps({"code": "invalid_input", "message": f"The transcript cannot be read: {error}", "remedy": ""}))
        return 1
    print(json.dumps({"voice": str(folder), "metrics": read_manifest(folder).metrics}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
