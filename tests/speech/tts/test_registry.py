"""Every registered name resolves; settings are checked and never shown."""

import subprocess
import sys

import pytest

from lipsync.errors import NotFoundError
from speech.errors import SpeechSettingsError
from speech.tts import create, load_class, names
from speech.tts.base import TextToSpeech


@pytest.mark.parametrize("name", names())
def test_every_name_resolves(name: str) -> None:
    cls = load_class(name)
    assert issubclass(cls, TextToSpeech)
    assert cls.name == name
    assert cls.capabilities.languages
    assert not cls.__abstractmethods__


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(NotFoundError, match="nobody") as caught:
        create("nobody")
    assert "local" in caught.value.remedy


def test_unknown_settings_are_refused_without_their_values() -> None:
    with pytest.raises(SpeechSettingsError) as caught:
        create("local", {"secret_key": "hunter2"})
    assert "secret_key" in caught.value.message
    assert "hunter2" not in caught.value.message + str(caught.value.detail)


def test_the_table_imports_nothing_heavy() -> None:
    heavy = ("torch", "librosa", "scipy", "cn2an", "jieba", "httpx", "soxr")
    code = f"import sys, speech.tts, speech.text; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
