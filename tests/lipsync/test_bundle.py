import json
import stat
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from lipsync.bundle import (
    MANIFEST,
    WEIGHTS,
    Manifest,
    load_tensors,
    pack,
    read_manifest,
    unpack,
    update_manifest,
    write_bundle,
)
from lipsync.errors import BundleError, ConflictError

MANIFEST_OF = Manifest("Ann", "1", "avatar", "lipbank", 16000, (512, 512, 3), "mel", takes=("t1",), consent_id="c1")


@pytest.fixture
def bundle(tmp_path):
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    return write_bundle(tmp_path / "b", MANIFEST_OF, tensors, {"bank/a.mp4": b"12345"})


def test_round_trip(bundle):
    manifest = read_manifest(bundle)
    assert set(manifest.files) == {WEIGHTS, "bank/a.mp4"}
    assert manifest.created_at.endswith("+00:00") and manifest.studio_version
    wanted = replace(
        MANIFEST_OF, files=manifest.files, created_at=manifest.created_at, studio_version=manifest.studio_version
    )
    assert manifest == wanted
    assert np.array_equal(load_tensors(bundle)["w"], np.arange(6).reshape(2, 3))


def test_metrics_are_added_without_touching_the_files(bundle):
    update_manifest(bundle, metrics={"psnr": 26.5})
    assert read_manifest(bundle).metrics == {"psnr": 26.5}


def test_an_existing_bundle_is_kept_unless_replaced(bundle):
    with pytest.raises(ConflictError):
        write_bundle(bundle, MANIFEST_OF, {"w": np.zeros(1, np.float32)})
    assert load_tensors(bundle)["w"].shape == (2, 3)
    write_bundle(bundle, MANIFEST_OF, {"w": np.zeros(1, np.float32)}, replace=True)
    assert load_tensors(bundle)["w"].shape == (1,)


def test_nothing_half_made_is_left(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bundle(tmp_path / "b", MANIFEST_OF, {"w": np.zeros(1, np.float32)}, {"x.mp4": tmp_path / "absent"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "a\\..\\x", "C:x", "w.pt", "w.PKL", "run.py", MANIFEST, "", "a//b"]
)
def test_names_that_leave_or_run_are_refused(tmp_path, name):
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "b", MANIFEST_OF, {"w": np.zeros(1, np.float32)}, {name: b"x"})
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_noticed(bundle):
    (bundle / "bank/a.mp4").write_bytes(b"54321")
    with pytest.raises(BundleError, match="changed"):
        read_manifest(bundle)
    read_manifest(bundle, verify=False)


def test_missing_and_stray_files_are_noticed(bundle):
    (bundle / "more.txt").write_text("x")
    with pytest.raises(BundleError, match="does not name"):
        read_manifest(bundle)
    (bundle / "more.txt").unlink()
    (bundle / "bank/a.mp4").unlink()
    with pytest.raises(BundleError, match="missing"):
        read_manifest(bundle)


@pytest.mark.parametrize(
    "change",
    [{"name": 3}, {"files": []}, {"unknown": 1}, {"input_shape": 5}, {"engine": None}, {"files": {"../x": "0"}}],
)
def test_a_wrong_manifest_is_refused(bundle, change):
    raw = json.loads((bundle / MANIFEST).read_text()) | change
    (bundle / MANIFEST).write_text(json.dumps(raw))
    with pytest.raises(BundleError):
        read_manifest(bundle, verify=False)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_manifest_is_refused(bundle, text):
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(BundleError):
        read_manifest(bundle)


def test_truncated_and_infinite_weights_are_refused(bundle):
    data = (bundle / WEIGHTS).read_bytes()
    (bundle / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError):
        load_tensors(bundle)
    write_bundle(bundle, MANIFEST_OF, {"w": np.array([np.nan], np.float32)}, replace=True)
    with pytest.raises(BundleError, match="finite"):
        load_tensors(bundle)


def test_pack_and_unpack(bundle, tmp_path):
    archive = pack(bundle, tmp_path / "out" / "ann.zip")
    unpack(archive, tmp_path / "c")
    assert read_manifest(tmp_path / "c") == read_manifest(bundle)
    with pytest.raises(ConflictError):
        unpack(archive, tmp_path / "c")


def _zip(path, bundle, extra):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MANIFEST, WEIGHTS, "bank/a.mp4"):
            archive.write(bundle / name, name)
        for name, content in extra:
            archive.writestr(name, content)
    return path


def _link():
    info = zipfile.ZipInfo("link.mp4")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "entry",
    [
        ("../evil.mp4", b"x"),
        ("/etc/evil.mp4", b"x"),
        ("weights.pkl", b"x"),
        ("stray.mp4", b"x"),
        ("bomb.mp4", bytes(64 << 20)),
        (_link(), "/etc/passwd"),
    ],
    ids=["parent", "absolute", "pickle", "stray", "bomb", "link"],
)
def test_a_foreign_zip_is_refused_and_leaves_nothing(bundle, tmp_path, entry):
    source = _zip(tmp_path / "in.zip", bundle, [entry])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError):
        unpack(source, tmp_path / "c")
    assert sorted(tmp_path.rglob("*")) == before


def test_size_limit_and_no_zip(bundle, tmp_path):
    source = pack(bundle, tmp_path / "in.zip")
    with pytest.raises(BundleError, match="MiB"):
        unpack(source, tmp_path / "c", max_bytes=100)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(BundleError):
        unpack(tmp_path / "text.zip", tmp_path / "c")
    truncated = tmp_path / "half.zip"
    truncated.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(BundleError):
        unpack(truncated, tmp_path / "c")
