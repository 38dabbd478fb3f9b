"""Job bodies for tests of the task center: they do nothing but behave in one way each."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from apps.control_api.services.bodies import Done
from apps.control_api.services.tools import Tools
from lipsync.errors import InvalidInputError, UnavailableError

HERE = "tests.apps.control_api.job_bodies"
KINDS = {
    "test:count": f"{HERE}:Count",
    "test:slow": f"{HERE}:Slow",
    "test:die": f"{HERE}:Die",
    "test:flaky": f"{HERE}:Flaky",
    "test:refuse": f"{HERE}:Refuse",
    "test:write": f"{HERE}:Write",
    "test:train": f"{HERE}:Slow",
}


class _Body:
    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    def failed(self, job: Any) -> None:
        return None


class Count(_Body):
    """Counts to request["to"], telling of it."""

    def run(self, job: Any, progress: Any) -> Done:
        progress.stage("counting")
        for i in range(job.request["to"]):
            progress.log(f"line {i}")
            progress.update((i + 1) / job.request["to"])
        progress.sample("loss", 0.5)
        return Done({"counted": job.request["to"]})


class Slow(_Body):
    """Takes request["seconds"], with a safe point every 50 ms."""

    def run(self, job: Any, progress: Any) -> Done:
        steps = int(job.request["seconds"] / 0.05)
        for i in range(steps):
            time.sleep(0.05)
            progress.update((i + 1) / steps)
        return Done({"slept": job.request["seconds"]})


class Die(_Body):
    """Kills its own process, as a crash in native code would."""

    def run(self, job: Any, progress: Any) -> Done:
        progress.update(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Flaky(_Body):
    """Fails retryably until the attempt request["good"]."""

    def run(self, job: Any, progress: Any) -> Done:
        if job.attempts < job.request["good"]:
            raise UnavailableError("The neighbour does not answer, Bearer abcdefghijklmnop.")
        return Done({"attempts": job.attempts})


class Refuse(_Body):
    """Fails for good."""

    def run(self, job: Any, progress: Any) -> Done:
        raise InvalidInputError("This cannot be done.", "Send something else.", {"why": "test"})


class Write(_Body):
    """Adds a line to a file, in several safe points, then writes its row: shows whether a job is done once."""

    def run(self, job: Any, progress: Any) -> Done:
        for i in range(10):
            time.sleep(job.request.get("pause", 0.02))
            progress.update((i + 1) / 10)

        def commit(session: Any) -> None:
            from apps.control_api.storage.tables import ScriptRow

            session.add(ScriptRow(id=job.id, title="made", text="by the job"))

        return Done({"made": job.id}, commit)


class CopyTake(_Body):
    """A training that learns nothing: the take's video becomes a bundle, entered as a real one is.

    The first attempt stops for request["pause"] seconds when the bundle is there, long enough to be killed.
    """

    def run(self, job: Any, progress: Any) -> Done:
        import numpy as np

        from apps.control_api.services import registration
        from apps.control_api.services.models import next_version
        from lipsync.bundle import Manifest, write_bundle

        wanted, files = job.request, self.tools.files
        making = registration.making_folder(self.tools, wanted["avatar_id"], job)
        files.remove(making)
        with self.tools.database.read() as session:
            number = next_version(session, wanted["avatar_id"])
        manifest = Manifest(wanted["name"], number, "avatar", wanted["engine"], 16_000, (128, 128, 3), "mel")
        film = files.take(wanted["take_id"]) / "video.mp4"
        write_bundle(making, manifest, {"w": np.zeros(4, np.float32)}, {"base.mp4": film})
        if job.attempts == 1:
            progress.stage("pause")
            for _ in range(int(wanted["pause"] / 0.05)):
                time.sleep(0.05)
                progress.check()
        folder = files.version("avatar", wanted["avatar_id"], number)
        version = registration.Version(
            registration.id_for(job, "model"), wanted["avatar_id"], wanted["name"], number, making, folder
        )
        result = {"avatar_id": version.owner_id, "model_id": version.model_id, "version": number}
        return Done(result, lambda session: registration.enter(session, self.tools, version, [], (128, 128)) and None)
