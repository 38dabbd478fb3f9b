"""The process of the local recogniser: pocketsphinx behind standard input and output.

Loading its model holds the interpreter for 0.4 s and each piece of sound for some milliseconds, so it gets an
interpreter of its own; a live session's clock must not stand still meanwhile.

In: a byte that says what, four bytes of length (little-endian), then as many bytes. ``B`` begins an utterance, ``S``
is sound (int16, 16 kHz), ``E`` ends the utterance, ``X`` drops it. Out: a JSON object a line, ``{"ready": true}``
once, then ``{"text", "final", "confidence"}`` for the utterance at hand; the final one also with ``chinese``, the
phrase that was said and how sure that is, or null. The process ends with its input. ``P`` is what to know from now on,
JSON: ``{"phrases": [Chinese ones], "english": whether English is heard too}``, answered with ``{"learned": true}``.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

HEAD = struct.Struct("<cI")
FILLERS = ("<", "[", "+")
CEPSTRUM = "46.4,-3.5,2,11.8,-0.3,-1.4,1.5,-5,-2.2,-1.5,2.8,1.2,-0.8"
"""The mean cepstrum to begin with: that of five voices at a usual level. It then follows who speaks; the library's own
beginning is a silent room's, with which the first sentence is misheard."""


def decoder() -> Any:
    """English, without the second pass over an utterance: that would cost 80 ms after its end and gains little."""
    from pocketsphinx import Decoder

    made = Decoder(samprate=16_000, loglevel="FATAL", fwdflat=False, bestpath=True)
    made.set_cmn(CEPSTRUM)
    return made


def serve(source: BinaryIO, answer: Any) -> None:
    """Serve until ``source`` ends; ``answer`` takes an object."""
    recogniser = decoder()
    answer({"ready": True})
    open_, told, english = False, "", True
    phrases: Any = None
    sound: list[bytes] = []
    while len(head := source.read(HEAD.size)) == HEAD.size:
        what, length = HEAD.unpack(head)
        data = source.read(length)
        if what == b"P":
            wanted = json.loads(data)
            phrases, english = learned(wanted["phrases"]), bool(wanted["english"])
            answer({"learned": True})
        elif what == b"B":
            if open_:
                recogniser.end_utt()
            recogniser.start_utt()
            open_, told = True, ""
            sound.clear()
        elif what == b"S" and open_:
            if phrases is not None:
                sound.append(data)
            if not english:
                continue
            recogniser.process_raw(data, False, False)
            text = heard(recogniser)
            if text and text != told:
                told = text
                answer({"text": text, "final": False})
        elif what == b"X" and open_:
            recogniser.end_utt()
            open_ = False
        elif what == b"E" and open_:
            recogniser.end_utt()
            open_ = False
            text, chance = (heard(recogniser), certainty(recogniser)) if english else ("", 0.0)
            answer({"text": text, "final": True, "confidence": chance, "chinese": meant(phrases, sound)})


def learned(texts: list[str]) -> Any:
    """Chinese phrases by their sound, or None where there are none."""
    if not texts:
        return None
    from speech.asr.chinese import SpokenPhrases

    return SpokenPhrases(texts)


def meant(phrases: Any, sound: list[bytes]) -> dict[str, Any] | None:
    """The Chinese phrase that was said, or None."""
    if phrases is None:
        return None
    found = phrases.nearest(np.frombuffer(b"".join(sound), "<i2").astype(np.float32) / 32768)
    return {"text": found.text, "confidence": found.confidence} if found is not None and found.taken else None


def heard(recogniser: Any) -> str:
    """The words so far, lower case."""
    found = recogniser.hyp()
    return str(found.hypstr) if found else ""


def certainty(recogniser: Any) -> float:
    """The mean posterior of the words, 0 to 1."""
    chances = [s.prob for s in recogniser.seg() or () if not s.word.startswith(FILLERS)]
    return round(sum(chances) / len(chances), 3) if chances else 0.0


def main() -> None:
    """Serve standard input and output."""

    def answer(said: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()

    serve(sys.stdin.buffer, answer)


if __name__ == "__main__":
    main()
