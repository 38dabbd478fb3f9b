"""Takes: received, judged, kept or refused with every reason, prepared by a job that starts by itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from apps.control_api import log
from apps.control_api.services import consents
from apps.control_api.services.events import emit
from apps.control_api.services.paging import Slice, newest_first
from apps.control_api.services.tools import Tools
from apps.control_api.services.uploads import Upload, Uploads
from apps.control_api.settings import ROOT
from apps.control_api.storage.clock import now
from apps.control_api.storage.files import Files
from apps.control_api.storage.tables import AvatarRow, Consent, ModelRow, TakeRow
from apps.control_api.storage.tables.base import new_id
from lipsync.errors import ConflictError, InvalidInputError, NoSpaceError, NotFoundError, TooLargeError

_log = log.get(__name__)


@dataclass(frozen=True)
class Received:
    """A file that has arrived: where it lies, what its sender called it, its size and sha256."""

    path: Path
    name: str
    size: int
    sha256: str


class Takes:
    """The use-cases of takes."""

    def __init__(self, tools: Tools, uploads: Uploads) -> None:
        self._tools, self._uploads = tools, uploads
        self._checking = asyncio.Semaphore(tools.settings.checks_at_once)

    # --- reading --------------------------------------------------------------------------------------------------

    def get(self, take_id: str) -> tuple[TakeRow, Consent]:
        """Return a take and its consent."""
        with self._tools.database.read() as session:
            row = session.get(TakeRow, take_id)
            if row is None or row.state == "checking":
                raise NotFoundError("There is no such take.", "List the takes to see those there are.")
            return row, session.exec(select(Consent).where(Consent.id == row.consent_id)).one()

    def list(self, limit: int, cursor: str | None, state: str | None) -> Slice[tuple[TakeRow, Consent]]:
        """List takes, newest first."""
        filters = [col(TakeRow.state) != "checking"] + ([col(TakeRow.state) == state] if state else [])
        with self._tools.database.read() as session:
            part = newest_first(session, TakeRow, filters, limit, cursor)
            wanted = {row.consent_id for row in part.items}
            found = {c.id: c for c in session.exec(select(Consent).where(col(Consent.id).in_(wanted)))}
        return Slice([(row, found[row.consent_id]) for row in part.items], part.next_cursor)

    def picture(self, take_id: str, t: float, layer: str, width: int | None) -> tuple[bytes, str]:
        """Return one picture of a take and its media type; see ``take_pictures.draw``.

        Raises:
            ConflictError: the layer needs the take to be prepared first, or it was refused.
        """
        row, _ = self.get(take_id)
        if row.state not in ("preparing", "prepared"):
            raise ConflictError(f"The take is {row.state}.", "Only a take that was accepted can be looked at.")
        if row.state != "prepared" and layer != "original":
            raise ConflictError("The take is not prepared yet.", "Wait, or ask for the layer `original`.")
        from apps.control_api.services import take_pictures

        files = self._tools.files
        if row.state != "prepared":
            return take_pictures.original(files.source(take_id) / "video", t, width)
        return take_pictures.draw(files.bring(files.take(take_id)), t, layer, width)

    def sheet(self, take_id: str, columns: int, rows: int, cell: int) -> bytes:
        """Return the contact sheet of a prepared take as JPEG.

        Raises:
            ConflictError: the take is not prepared.
        """
        row, _ = self.get(take_id)
        if row.state != "prepared":
            raise ConflictError(f"The take is {row.state}.", "A sheet is drawn once the take is prepared.")
        from apps.control_api.services import take_sheet

        return take_sheet.sheet(self._tools.files.bring(self._tools.files.take(take_id)), columns, rows, cell)

    # --- admitting ------------------------------------------------------------------------------------------------

    def need_room(self, size: int) -> None:
        """Make sure that ``size`` bytes more can be kept, beside what other uploads have announced.

        Raises:
            NoSpaceError: the disk, or the limit for all recordings together, does not hold them.
        """
        settings = self._tools.settings
        here, announced = self._uploads.waiting()
        self._tools.files.need_room(size + announced, settings.free_space)
        with self._tools.database.read() as session:
            kept = int(session.exec(select(sa.func.coalesce(sa.func.sum(TakeRow.size_bytes), 0))).one())
        wanted = kept + here + announced + size
        if wanted > settings.total_limit:
            raise NoSpaceError(
                f"All recordings together would be {wanted // 2**20} MiB; the limit is "
                f"{settings.total_limit // 2**20} MiB.",
                "Delete takes that are not needed, or raise `total_limit` in the settings.",
                {"kept": kept, "uploads": here + announced, "size": size, "limit": settings.total_limit},
            )

    async def from_uploads(self, video_id: str, voice_id: str | None, consent: dict[str, Any], name: str | None) -> str:
        """Admit a take whose files were uploaded before; see ``admit``."""
        video = await asyncio.to_thread(self._uploads.finished, video_id, False)
        voice = await asyncio.to_thread(self._uploads.finished, voice_id, False) if voice_id else None
        limit = self._tools.settings.voice_limit
        if voice is not None and voice.size > limit:
            raise TooLargeError(
                f"The reference voice is over its limit of {limit // 2**20} MiB.",
                "Send a shorter one.",
                {"limit": limit},
            )
        folder = self._tools.files.new_incoming()
        try:
            received = await asyncio.to_thread(self._take_over, video, folder / "video")
            heard = await asyncio.to_thread(self._take_over, voice, folder / "voice") if voice else None
            return await self.admit(received, heard, consent, name)
        finally:
            await asyncio.to_thread(self._tools.files.remove, folder)

    async def admit(
        self, video: Received, voice: Received | None, consent: dict[str, Any], name: str | None = None
    ) -> str:
        """Keep a recording, judge it, and queue its preparation.

        Args:
            video: The recording, in a folder for incoming files; moved from there.
            voice: A reference voice, if one was sent.
            consent: What the person agreed to; already validated.
            name: What the take is called; the file's name if not given.

        Returns:
            The take's id.

        Raises:
            InvalidInputError: the check found errors; ``detail`` has every reason and the id of the rejected take.
        """
        take_id = new_id()
        await asyncio.to_thread(self._keep, take_id, video, voice, consent, name)
        done = False
        try:
            source = self._tools.files.source(take_id)
            async with self._checking:
                report = await self.check(source / "video", source / "voice" if voice else None)
            await asyncio.to_thread(self._judge, take_id, report)
            done = True
        finally:
            if not done:  # the caller went away, or the studio is stopping: nothing half-judged stays
                await asyncio.shield(asyncio.to_thread(self._forget, take_id))
        if not report["ok"]:
            reasons = [f for f in report["findings"] if f["severity"] == "error"]
            raise InvalidInputError(
                "The take cannot be used: " + "; ".join(r["message"]["en"] for r in reasons),
                "Record or send it again as each reason says.",
                {"take_id": take_id, "reasons": reasons, "report": report},
            )
        return take_id

    async def check(self, video: Path, voice: Path | None) -> dict[str, Any]:
        """Judge a recording in a process of its own, so that no file can harm or hang the studio."""
        command = [sys.executable, "-m", "lipsync.dataset.check", str(video), *([str(voice)] if voice else [])]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), self._tools.settings.check_timeout)
        except TimeoutError:
            return _unreadable("check_timeout", "Looking through the file took too long.", "检查文件耗时过长。")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            report = json.loads(out.decode("utf-8").strip().splitlines()[-1])
            if not (isinstance(report, dict) and isinstance(report["findings"], list) and "ok" in report):
                raise ValueError("not a report")
        except (ValueError, IndexError, KeyError):
            _log.warning("check failed", rc=process.returncode, stderr=err.decode("utf-8", "replace")[-2000:])
            return _unreadable("unreadable", "The file cannot be read as a recording.", "无法将该文件识别为录像。")
        return report

    # --- ending ---------------------------------------------------------------------------------------------------

    def delete(self, take_id: str) -> None:
        """Delete a take with its files. Avatars made from it stay, unless it is only their preview.

        Raises:
            ConflictError: a job is at work on it.
        """
        row, _ = self.get(take_id)
        if self._tools.jobs.open_for(take_id):
            raise ConflictError("A job is at work on this take.", "Cancel the job first, or wait for its end.")
        with self._tools.database.write() as session:
            session.execute(sa.delete(TakeRow).where(col(TakeRow.id) == take_id))
            preview = session.get(AvatarRow, row.preview_avatar_id) if row.preview_avatar_id else None
            drop = preview if preview is not None and preview.state == "preview" else None
            if drop is not None:
                session.execute(sa.delete(ModelRow).where(col(ModelRow.owner_id) == drop.id))
                session.delete(drop)
            emit(session, "system", {"name": "take_deleted", "data": {"take_id": take_id}})
        files = self._tools.files
        for folder in (files.take(take_id), files.source(take_id)):
            files.remove(folder)
        if drop is not None:
            files.remove(files.models / "avatars" / drop.id)
            files.remove(files.avatar(drop.id))

    def withdraw(self, take_id: str) -> tuple[TakeRow, Consent]:
        """Withdraw the consent: nothing made from the take can be trained, go live or be exported any more."""
        row, _ = self.get(take_id)
        with self._tools.database.write() as session:
            consent = session.exec(select(Consent).where(Consent.id == row.consent_id)).one()
            consent.withdrawn_at = consent.withdrawn_at or now()
            emit(session, "system", {"name": "consent_withdrawn", "data": {"take_id": take_id}})
        return row, consent

    def sweep(self) -> None:
        """Remove takes that an earlier run never finished judging; their senders never had an answer."""
        with self._tools.database.read() as session:
            left = list(session.exec(select(TakeRow.id).where(TakeRow.state == "checking")))
        for take_id in left:
            self._forget(take_id)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _take_over(self, upload: Upload, target: Path) -> Received:
        self._uploads.take_over(upload, target)
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Received(target, upload.name, upload.size, digest)

    def _keep(
        self, take_id: str, video: Received, voice: Received | None, consent: dict[str, Any], name: str | None
    ) -> None:
        source = self._tools.files.source(take_id)
        source.mkdir(parents=True)
        with self._tools.database.write() as session:
            earlier = session.exec(
                select(TakeRow.id)
                .where(TakeRow.video_sha256 == video.sha256, col(TakeRow.state).not_in(["checking", "rejected"]))
                .order_by(col(TakeRow.created_at))
                .limit(1)
            ).first()
            session.add(
                TakeRow(
                    id=take_id,
                    name=name or Path(video.name).stem[:120] or "take",
                    state="checking",
                    video_name=video.name,
                    voice_name=voice.name if voice else None,
                    video_sha256=video.sha256,
                    voice_sha256=voice.sha256 if voice else None,
                    size_bytes=video.size + (voice.size if voice else 0),
                    consent_id=consents.add(session, consent).id,
                    report={"duplicate_of": earlier} if earlier else {},
                )
            )
        video.path.replace(source / "video")
        if voice is not None:
            voice.path.replace(source / "voice")

    def _judge(self, take_id: str, report: dict[str, Any]) -> None:
        if report["ok"]:
            self._tools.files.share(self._tools.files.source(take_id))  # before there is a job that asks for it
        with self._tools.database.write() as session:
            row = session.exec(select(TakeRow).where(TakeRow.id == take_id)).one()
            info = report.get("info") or {}
            row.report = {**row.report, **report}
            row.mic_profile = info.get("mic_profile") or {}
            row.chroma_info = info.get("chroma_info") or {}
            row.updated_at = now()
            row.state = "preparing" if report["ok"] else "rejected"
            if report["ok"]:
                job = self._tools.jobs.submit(
                    "takes:prepare", {"take_id": take_id}, subject_id=take_id, priority="urgent", session=session
                )
                row.job_id = job.id

    def _forget(self, take_id: str) -> None:
        with self._tools.database.write() as session:
            row = session.get(TakeRow, take_id)
            if row is None or row.state != "checking":
                return
            consent_id = row.consent_id
            session.delete(row)
            session.flush()
            session.execute(sa.delete(Consent).where(col(Consent.id) == consent_id))
        self._tools.files.remove(self._tools.files.source(take_id))


def source_files(files: Files, take_id: str) -> tuple[Path, Path | None]:
    """Return a take's recording and its reference voice (None if none was sent) as they were uploaded."""
    folder = files.source(take_id)
    voice = folder / "voice"
    return folder / "video", voice if voice.is_file() else None


def _unreadable(code: str, en: str, zh: str) -> dict[str, Any]:
    return {
        "ok": False,
        "findings": [
            {
                "code": code,
                "severity": "error",
                "value": None,
                "wanted": "MP4 (H.264 or HEVC) with sound",
                "message": {"zh-CN": zh, "en": en},
                "remedy": {
                    "zh-CN": "请重新导出为带声音的 MP4（H.264）后再上传。",
                    "en": "Export it again as an MP4 (H.264) with sound, and send that.",
                },
            }
        ],
        "info": {},
    }
