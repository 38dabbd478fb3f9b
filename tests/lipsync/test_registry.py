import numpy as np
import pytest

from lipsync import registry
from lipsync.bundle import Manifest, write_bundle
from lipsync.engine import Engine
from lipsync.errors import BundleError, NotFoundError, UnavailableError


def test_every_name_resolves():
    assert registry.DEFAULT in registry.names()
    for name in registry.names():
        cls = registry.load_engine_class(name)
        assert issubclass(cls, Engine)
        assert cls.name == name
        assert not cls.__abstractmethods__


def test_unknown_name_lists_the_known():
    with pytest.raises(NotFoundError, match="nosuch") as caught:
        registry.load_engine_class("nosuch")
    assert "lipbank" in caught.value.remedy


@pytest.mark.parametrize("target", ["nosuch_module:X", "lipsync.engine:NoSuch", "lipsync.errors:StudioError"])
def test_a_bad_entry_says_why(target):
    registry.register("odd", target)
    try:
        with pytest.raises(UnavailableError):
            registry.load_engine_class("odd")
    finally:
        registry.unregister("odd")


def test_a_bundle_cannot_name_an_import_path(tmp_path):
    for engine in ("os:system", "tests.fakes.bar_engine:BarEngine", "nosuch"):
        manifest = Manifest("x", "1", "avatar", engine, 16000, (8, 8, 3), "none")
        folder = write_bundle(tmp_path / engine.replace(":", "_"), manifest, {"a": np.zeros(1, np.float32)})
        with pytest.raises(BundleError):
            registry.engine_for(folder)


def test_a_voice_is_no_avatar(tmp_path):
    manifest = Manifest("x", "1", "voice", "lipbank", 16000, (8,), "none")
    folder = write_bundle(tmp_path / "v", manifest, {"a": np.zeros(1, np.float32)})
    with pytest.raises(BundleError, match="voice"):
        registry.engine_for(folder)
