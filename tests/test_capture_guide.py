"""The capture guide explains every code of the report in both languages, and its sentences have every phone."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lipsync.dataset.finding_texts import TEXTS
from speech.tts.espeak import Prosody, library

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("docs/capture-guide.md", "docs/capture-guide.zh-CN.md")
ASKED_BY_THE_API = {"no_consent", "empty_file", "invalid_field", "check_timeout", "unreadable"}

# Phones as espeak-ng writes them, without stress, length and tone.
ENGLISH = "p b t d k ɡ f v θ ð s z ʃ ʒ h tʃ dʒ m n ŋ l ɹ j w iː ɪ ɛ æ ɑː ɔː ʊ uː ʌ ɜː ə eɪ aɪ ɔɪ oʊ aʊ"
MANDARIN = (
    "p ph m f t th n l k kh χ tɕ tɕh ɕ ts. ts.h s. ʐ ts tsh s j w ŋ "
    "a ai ei ɑu ou o o- ə ər i i. i̪ u y yɛ yæ yə iɛ iɑ iou ua uai uei uo uə onɡ"
)


def text(guide: str) -> str:
    return (ROOT / guide).read_text("utf-8")


def script(guide: str, language: str) -> list[str]:
    found = re.search(rf"<!-- script:{language} -->\n(.*?)<!-- end -->", text(guide), re.S)
    assert found, f"{guide} has no sentences marked {language}"
    return [line.split(". ", 1)[1] for line in found[1].strip().splitlines()]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_code_of_the_report_is_explained(guide: str) -> None:
    explained = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\|.*", text(guide), re.M))))
    assert set(TEXTS) | ASKED_BY_THE_API == explained, "codes missing in the guide, or explained and not there"


def test_both_guides_say_the_same_codes_pictures_and_sentences() -> None:
    first, second = (text(guide) for guide in GUIDES)
    for pattern in (r"^\| `([a-z_`、, ]+)` \|", r"\]\((images/[^)]+)\)"):
        found = [re.findall(pattern, t.replace("、", ", "), re.M) for t in (first, second)]
        assert found[0] == found[1] and len(found[0]) >= 4
    for language in ("en", "zh"):
        assert script(GUIDES[0], language) == script(GUIDES[1], language)


@pytest.mark.parametrize(("language", "voice", "wanted"), [("en", "en-us", ENGLISH), ("zh", "cmn", MANDARIN)])
def test_the_sentences_have_every_phone_of_the_language(language: str, voice: str, wanted: str) -> None:
    heard: set[str] = set()
    for sentence in script(GUIDES[0], language):
        _, starts = library().render(sentence, Prosody(voice))
        heard |= {start.text.strip("ˈˌ") for start in starts if start.kind == "phoneme"}
    assert not set(wanted.split()) - heard, f"no sentence has {sorted(set(wanted.split()) - heard)}"


def test_the_pictures_are_drawn_and_say_what_they_show() -> None:
    for name in re.findall(r"\]\((images/capture/[^)]+)\)", text(GUIDES[0])):
        picture = ElementTree.parse(ROOT / "docs" / name).getroot()
        assert picture.tag.endswith("svg") and picture.get("aria-label") and len(picture) > 3


def test_both_readmes_lead_to_it() -> None:
    assert "(docs/capture-guide.md)" in text("README.md")
    assert "(docs/capture-guide.zh-CN.md)" in text("README.zh-CN.md")
