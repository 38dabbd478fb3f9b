"""Object stores under one contract, a folder and a real S3 server; folders on them are whole or not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.control_api.storage.files import Files
from apps.control_api.storage.objects import FolderObjects, Objects, S3Objects, open_objects
from apps.control_api.storage.shelf import Shelf
from lipsync.errors import BundleError, InvalidInputError, NotFoundError, UnavailableError

TAKE = "1a2b3c4d-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of moto's server: the S3 protocol over a real socket."""
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import boto3

    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="studio")
    yield f"http://{host}:{port}"
    server.stop()
    patch.undo()


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return FolderObjects(tmp_path / "objects")
    endpoint = request.getfixturevalue("s3")
    return open_objects(f"s3://studio/{tmp_path.name}", endpoint)


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def inside(path: Path) -> dict[str, str]:
    return {p.relative_to(path).as_posix(): p.read_text() for p in path.rglob("*") if p.is_file()}


def test_objects_are_kept_replaced_listed_and_removed(objects: Objects, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    objects.put("a/b/file", file)
    objects.write("a/b2", b"small")
    objects.write("a/b2", b"replaced")
    objects.write("other", b"o")
    objects.get("a/b/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes() and objects.read("a/b2") == b"replaced"
    assert objects.keys("a/b") == ["a/b/file", "a/b2"] and objects.keys("a/b/") == ["a/b/file"]
    objects.delete(["a/b/file", "never/there"])
    assert objects.keys("") == ["a/b2", "other"]
    for missing in (lambda: objects.read("a/b/file"), lambda: objects.get("no", tmp_path / "n")):
        with pytest.raises(NotFoundError):
            missing()
    for bad in ("", "/etc/passwd", "../up", "a/../../up"):
        with pytest.raises(InvalidInputError):
            objects.write(bad, b"")


def test_a_folder_is_seen_when_its_index_is_written_and_not_before(objects: Objects, tmp_path: Path) -> None:
    shelf = Shelf(objects)
    first = folder(tmp_path / "1", manifest="one", weights="w1")
    commit = shelf.stage("models/m", {p.name: p for p in first.iterdir()})
    assert shelf.generation("models/m") is None
    with pytest.raises(NotFoundError):
        shelf.fetch("models/m", tmp_path / "none")
    assert commit() == shelf.generation("models/m")
    second = folder(tmp_path / "2", manifest="two")
    commit = shelf.stage("models/m", {p.name: p for p in second.iterdir()})
    shelf.fetch("models/m", tmp_path / "old")
    assert inside(tmp_path / "old") == {"manifest": "one", "weights": "w1"}
    commit()
    shelf.fetch("models/m", tmp_path / "new")
    assert inside(tmp_path / "new") == {"manifest": "two"}
    assert len(objects.keys("blobs/")) == 1, "what was replaced is gone"
    shelf.stage("models/m/below", {p.name: p for p in second.iterdir()})()
    shelf.stage("models/m2", {p.name: p for p in second.iterdir()})()
    assert shelf.remove("models/m") and not shelf.remove("models/m")
    assert shelf.generation("models/m/below") is None and shelf.generation("models/m2") is not None
    assert all("models/m2" in key for key in objects.keys("") if not key.startswith("."))


def test_a_damaged_file_is_refused(objects: Objects, tmp_path: Path) -> None:
    shelf = Shelf(objects)
    made = folder(tmp_path / "1", weights="right")
    shelf.stage("m", {"weights": made / "weights"})()
    (key,) = objects.keys("blobs/m/")
    objects.write(key, b"wrong")
    with pytest.raises(BundleError, match="damaged"):
        shelf.fetch("m", tmp_path / "back")


def test_two_machines_have_the_same_folders(objects: Objects, tmp_path: Path) -> None:
    here, there = (Files(tmp_path / m / "data", tmp_path / m / "models", Shelf(objects)) for m in ("here", "there"))
    for files in (here, there):
        files.prepare()
    folder(here.take(TAKE), video="v1")
    here.share(here.take(TAKE))
    assert inside(there.bring(there.take(TAKE))) == {"video": "v1"}
    (here.take(TAKE) / "video").write_text("v2")
    here.share(here.take(TAKE))
    assert inside(there.bring(there.take(TAKE))) == {"video": "v2"}
    (there.take(TAKE) / "video").write_text("touched")
    assert inside(there.bring(there.take(TAKE))) == {"video": "touched"}, "not fetched again while nothing changed"
    folder(there.avatar(TAKE), actions="mine")
    folder(here.avatar(TAKE), thumbnail="t")
    here.share(here.avatar(TAKE))
    assert inside(there.bring(there.avatar(TAKE), beside=True)) == {"actions": "mine", "thumbnail": "t"}
    assert here.remove(here.take(TAKE))
    there.discard(there.take(TAKE))
    assert not there.bring(there.take(TAKE)).exists(), "removed for everybody"
    upload = "0" * 32
    for name in (upload, f"{upload}.info"):
        (here.uploads / name).write_text(name)
    here.lend(upload)
    there.borrow(upload)
    assert (there.uploads / f"{upload}.info").read_text() == f"{upload}.info"
    here.give_up(upload)
    assert Shelf(objects).generation(f"uploads/{upload}") is None


def test_a_store_that_does_not_answer_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store: Any = S3Objects("studio", endpoint="http://127.0.0.1:9")
    with pytest.raises(UnavailableError) as caught:
        store.read("key")
    assert caught.value.retryable


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("https://x/y", "s3:///prefix", "file://host/x", "file:///"):
        with pytest.raises(InvalidInputError):
            open_objects(url)
