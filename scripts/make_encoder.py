"""Make the encoder that ships with lipbank, from synthetic speech alone: about six minutes of one core.

Usage: python scripts/make_encoder.py [--out lipbank/encoder] [--speech-s 9000] [--train-s 230] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Parse the command line, make the encoder, print its manifest."""
    from lipbank.encoder_training import Recipe, make

    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument(
        "--out", type=Path, default=root / "lipbank" / "encoder", help="folder for weights and manifest"
    )
    parser.add_argument("--speech-s", type=float, default=Recipe.speech_s, help="seconds of synthetic speech")
    parser.add_argument("--train-s", type=float, default=Recipe.train_s, help="seconds of training")
    parser.add_argument("--steps", type=int, default=None, help="optimiser steps at most")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--channels", type=int, default=Recipe.channels)
    given = parser.parse_args()
    recipe = Recipe(given.speech_s, given.train_s, given.steps, given.seed, given.channels)
    print(json.dumps(make(given.out, recipe), indent=2))


if __name__ == "__main__":
    main()
