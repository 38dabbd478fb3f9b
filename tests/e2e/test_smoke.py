"""The smoke of CI: an avatar and a voice trained for a few steps, exported, evaluated and rendered, from material that
the test makes. It says that the parts fit each other, not that the result is good."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import soundfile

from tests.conftest import Studio, start_studio, stop_studio
from tests.e2e.test_main_line import CONSENT, follow, send_take

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WORDS = "correct horse battery"


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A studio whose bounds let pass what was hardly trained."""
    settings = {"minimum_metrics": "{}", "maximum_metrics": "{}"}
    settings |= {"minimum_voice_metrics": "{}", "maximum_voice_metrics": "{}"}
    running = start_studio(tmp_path_factory.mktemp("smoke") / "data", **settings)
    try:
        yield running
    finally:
        stop_studio(running)


def test_an_avatar_is_trained_evaluated_exported_brought_back_and_rendered(lenient: Studio, demo_take: Path) -> None:
    with lenient.client() as http:
        take = send_take(http, demo_take, CONSENT)
        assert take.status_code == 201, take.text
        follow(http, take.json()["job_id"], 300)
        wanted = {"take_id": take.json()["id"], "name": "Smoke", "steps": 2}
        made = follow(http, http.post("/avatars:train", json=wanted).json()["id"], 400)["result"]
        told = follow(http, http.post(f"/models/{made['model_id']}:evaluate").json()["id"], 300)["result"]
        assert told["figures"]["sync"] > 0.2 and told["figures"]["person"] > 0.5
        asked = {"avatar_id": made["avatar_id"], "passphrase": WORDS}
        job = follow(http, http.post("/avatars:export", json=asked).json()["id"], 120)
        sealed = http.get(f"/jobs/{job['id']}/file").content
        assert sealed.startswith(b"LTSEAL")
        networks = {"avatar_id": made["avatar_id"], "formats": ["onnx", "torchscript", "safetensors"]}
        follow(http, http.post("/avatars:export", json=networks).json()["id"], 120)
        upload = upload_of(http, sealed)
        wanted = {"upload_id": upload, "consent": CONSENT, "name": "Back", "passphrase": WORDS}
        back = follow(http, http.post("/avatars:import", json=wanted).json()["id"], 120)["result"]
        assert back["trusted"]
        film = {"avatar_id": back["avatar_id"], "text": "Hello."}
        job = follow(http, http.post("/inference/video", json=film).json()["id"], 200)
        data = http.get(f"/jobs/{job['id']}/file").content
        with av.open(io.BytesIO(data)) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames > 10


def upload_of(http: httpx.Client, data: bytes) -> str:
    """Send a file by resumable upload; returns the upload's id."""
    head = {"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data)), "Upload-Metadata": "filename YS5sdHNlYWw="}
    made = http.post("/uploads/", headers=head)
    assert made.status_code == 201, made.text
    where = made.headers["location"]
    move = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert http.patch(where, content=data, headers=move).status_code == 204
    return str(where.rstrip("/").rsplit("/", 1)[-1])


def test_a_voice_is_trained_for_a_few_steps_and_judged(tmp_path: Path) -> None:
    from speech.clone.base_speech import BaseVoice, render
    from speech.clone.evaluation import judge_voice
    from speech.clone.features import RATE
    from speech.clone.judge import NEW_SENTENCES
    from speech.clone.training import VoiceOptions, train_voice

    person = BaseVoice("espeak", "zh", "cmn+f4", pitch=55)
    pause = np.zeros(RATE // 2, np.float32)
    said: list[np.ndarray] = []
    for text in NEW_SENTENCES["zh"] * 3:
        said += [render(person, text)[0], pause]
    noise = np.random.default_rng(0).normal(0, 1e-3, sum(map(len, said)))
    soundfile.write(tmp_path / "voice.wav", np.concatenate(said) + noise, RATE)
    options = VoiceOptions(languages=("zh",), recorded_language="zh", steps=4, sentences=2, allow_flite=False)
    bundle = train_voice(tmp_path / "voice.wav", tmp_path / "bundle", options=options)
    judged = judge_voice(bundle, tmp_path / "voice.wav")
    assert 0.4 < judged.figures["similarity_zh"] <= 1 and 0.8 < judged.real["similarity_zh"] <= 1
    assert judged.figures["similarity_zh"] < judged.real["similarity_zh"], "nobody is more alike than oneself"
