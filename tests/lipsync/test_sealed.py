"""Sealing and signing: what comes back is what went in, and every change of it is noticed and named."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lipsync import sealed
from lipsync.bundle import Manifest, pack, unpack_signed, write_bundle
from lipsync.errors import BundleError, InvalidInputError
from lipsync.sealed import is_sealed, seal, unseal
from lipsync.signature import NAME, public_text, sign, signer_of, studio_key

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key's cost is read from the header, so tests may make it small."""
    monkeypatch.setattr(sealed, "_KIB", 64)
    monkeypatch.setattr(sealed, "_PASSES", 1)
    monkeypatch.setattr(sealed, "PIECE", 4096)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 3 * 4096, 20_000])
def test_what_went_in_comes_out(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "a").write_bytes(data)
    seal(tmp_path / "a", tmp_path / "b", WORDS)
    text = (tmp_path / "b").read_bytes()
    assert is_sealed(tmp_path / "b") and not is_sealed(tmp_path / "a")
    assert size < 16 or data[:16] not in text
    unseal(tmp_path / "b", tmp_path / "c", WORDS)
    assert (tmp_path / "c").read_bytes() == data
    seal(tmp_path / "a", tmp_path / "d", WORDS)
    assert (tmp_path / "d").read_bytes() != text, "another salt each time"
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", "c", "d"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(np.random.default_rng(0).bytes(3 * 4096 + 100))
    return seal(tmp_path / "a", tmp_path / "b", WORDS)


def refused(kept: Path, data: bytes, why: str, words: str = WORDS) -> None:
    bad = kept.with_name("bad")
    bad.write_bytes(data)
    with pytest.raises(BundleError, match=why) as told:
        unseal(bad, kept.with_name("out"), words)
    assert told.value.remedy and not kept.with_name("out").exists()
    assert not [p for p in kept.parent.iterdir() if "partial" in p.name]


def test_a_wrong_passphrase_is_said(kept: Path) -> None:
    refused(kept, kept.read_bytes(), "passphrase is wrong", "Correct horse battery")
    with pytest.raises(InvalidInputError, match="fewer than 8"):
        seal(kept, kept.with_name("x"), "short")


def test_every_change_is_noticed(kept: Path) -> None:
    whole = kept.read_bytes()
    body = whole.index(b"\n", 7) + 1
    piece = 4096 + 16
    flipped = bytearray(whole)
    flipped[body + 2 * piece + 5] ^= 1
    refused(kept, bytes(flipped), "changed or cut off after 2")
    refused(kept, whole[:-1], "changed or cut off")
    refused(kept, whole[: body + 2 * piece], "changed or cut off after 1")
    refused(kept, whole[: body + piece] + whole[body + 2 * piece :], "changed or cut off after 1")
    swapped = whole[:body] + whole[body + piece : body + 2 * piece] + whole[body : body + piece]
    refused(kept, swapped + whole[body + 2 * piece :], "passphrase is wrong, or the file was changed")
    refused(kept, whole + whole[-piece:], "changed or cut off")
    refused(kept, whole[:body], "passphrase is wrong, or the file was changed")


def test_a_header_that_asks_too_much_or_is_of_another_version(kept: Path) -> None:
    whole = kept.read_bytes()
    end = whole.index(b"\n", 7)
    header = json.loads(whole[7:end])

    def asking(**change: object) -> bytes:
        return whole[:7] + json.dumps({**header, **change}).encode() + whole[end:]

    refused(kept, asking(kib=1 << 30), "cannot be")
    refused(kept, asking(kdf="md5"), "cannot be")
    refused(kept, asking(salt="x"), "damaged")
    refused(kept, whole[:20], "damaged")
    refused(kept, b"LTSEAL\x02" + whole[7:], "later version")
    refused(kept, asking(passes=2), "passphrase is wrong, or the file was changed")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    manifest = Manifest("Ann", "1", "avatar", "bar", 16000, (64, 64, 3), "mel")
    return write_bundle(tmp_path / "b", manifest, {"w": np.zeros(4, np.float32)})


def test_a_studio_signs_with_a_key_of_its_own(tmp_path: Path, bundle: Path) -> None:
    key = studio_key(tmp_path / "studio.key")
    assert stat.S_IMODE((tmp_path / "studio.key").stat().st_mode) == 0o600
    assert public_text(studio_key(tmp_path / "studio.key")) == public_text(key), "made once"
    packed = pack(bundle, tmp_path / "a.zip", key)
    manifest, signer = unpack_signed(packed, tmp_path / "out")
    assert signer == public_text(key) and manifest.name == "Ann" and not (tmp_path / "out" / NAME).exists()
    assert unpack_signed(pack(bundle, tmp_path / "plain.zip"), tmp_path / "out2")[1] is None


def test_a_signature_of_something_else_is_refused(tmp_path: Path, bundle: Path) -> None:
    key = studio_key(tmp_path / "studio.key")
    packed = pack(bundle, tmp_path / "a.zip", key)
    with zipfile.ZipFile(packed) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    renamed = parts["manifest.json"].replace(b"Ann", b"Eve")
    other = sign(renamed, key)
    for change, why in (
        ({"manifest.json": renamed}, "does not fit"),
        ({NAME: other}, "does not fit"),
        ({NAME: b"{}"}, "cannot be read"),
        ({NAME: b"x" * 5000}, "too large"),
    ):
        bad = tmp_path / "bad.zip"
        with zipfile.ZipFile(bad, "w") as new:
            for name, data in {**parts, **change}.items():
                new.writestr(name, data)
        with pytest.raises(BundleError, match=why):
            unpack_signed(bad, tmp_path / "bad")
        assert not (tmp_path / "bad").exists()
    assert signer_of(renamed, other) == public_text(key)
