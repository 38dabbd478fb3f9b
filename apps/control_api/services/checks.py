"""Checks before a recording or a show: what is missing on this machine, and what to do about it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apps.control_api.services.tools import Tools

Check = dict[str, Any]
_GIB = 2**30


def run_checks(tools: Tools, workers: int) -> list[Check]:
    """Return every check; ``workers`` is how many worker processes run now. Blocking, some milliseconds."""
    return [
        _database(tools),
        _disk(tools),
        _memory(),
        _cpu(),
        _gpu(),
        _worker(tools, workers),
        _camera(),
        _page(tools.settings.page_dir),
    ]


def _check(
    id_: str,
    state: str,
    value: Any,
    *told: tuple[str, str],
) -> Check:
    """Build a check of its title, message and (where there is one) remedy, each as (zh, en)."""
    title, message, remedy = (*told, ("", ""))[:3]

    def both(pair: tuple[str, str]) -> dict[str, str]:
        return {"zh-CN": pair[0], "en": pair[1]}

    return {
        "id": id_,
        "state": state,
        "value": value,
        "title": both(title),
        "message": both(message),
        "remedy": both(remedy if state != "ok" else ("", "")),
    }


def _database(tools: Tools) -> Check:
    kind = "SQLite" if tools.database.is_sqlite else "PostgreSQL"
    tools.database.ping()
    return _check("database", "ok", kind, ("数据库", "Database"), (f"{kind} 正常", f"{kind} answers"))


def _disk(tools: Tools) -> Check:
    free = shutil.disk_usage(tools.files.data).free
    state = "error" if free < _GIB else "warning" if free < 10 * _GIB else "ok"
    told = f"{free / _GIB:.1f} GiB"
    return _check(
        "disk",
        state,
        free,
        ("磁盘空间", "Disk space"),
        (f"剩余 {told}", f"{told} free"),
        ("删除不需要的素材或成片,或换用更大的磁盘。", "Delete takes or films you do not need, or use a larger disk."),
    )


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    state = "error" if memory.available < _GIB else "warning" if memory.available < 3 * _GIB else "ok"
    told = f"{memory.available / _GIB:.1f} / {memory.total / _GIB:.1f} GiB"
    return _check(
        "memory",
        state,
        memory.available,
        ("内存", "Memory"),
        (f"可用 {told}", f"{told} free"),
        ("训练前请关闭其他程序。", "Close other programs before training."),
    )


def _cpu() -> Check:
    import psutil

    cores = psutil.cpu_count(logical=True) or 1
    state = "ok" if cores >= 2 else "warning"
    return _check(
        "cpu",
        state,
        cores,
        ("处理器", "Processor"),
        (f"{cores} 个核心", f"{cores} cores"),
        ("直播建议至少 2 个核心。", "Two cores or more are advised for live use."),
    )


def _gpu() -> Check:
    nvidia = shutil.which("nvidia-smi")
    return _check(
        "gpu",
        "ok" if nvidia else "warning",
        bool(nvidia),
        ("显卡", "GPU"),
        ("检测到 NVIDIA 显卡", "An NVIDIA GPU is there") if nvidia else ("没有 NVIDIA 显卡", "No NVIDIA GPU"),
        ("没有显卡也可以使用,训练会慢一些。", "The studio works without one; training takes longer."),
    )


def _worker(tools: Tools, workers: int) -> Check:
    wanted = tools.settings.workers
    state = "ok" if workers >= wanted else "error"
    return _check(
        "worker",
        state,
        workers,
        ("任务进程", "Worker"),
        (f"{workers}/{wanted} 个运行中", f"{workers} of {wanted} run"),
        ("稍候片刻会自动重启;若持续失败请查看日志。", "It restarts by itself; look at the log if it stays down."),
    )


def _camera() -> Check:
    ready = find_spec("pyvirtualcam") is not None and (
        not Path("/proc").exists() or any(Path("/sys/devices/virtual/video4linux").glob("video*"))
    )
    return _check(
        "virtual_camera",
        "ok" if ready else "warning",
        ready,
        ("虚拟摄像头", "Virtual camera"),
        ("可用", "There is one") if ready else ("没有虚拟摄像头驱动", "There is no virtual camera driver"),
        (
            "Linux 安装 v4l2loopback;Windows 与 macOS 安装 OBS。",
            "Install v4l2loopback on Linux, OBS on Windows or macOS.",
        ),
    )


def _page(folder: Path) -> Check:
    there = (folder / "index.html").is_file()
    return _check(
        "page",
        "ok" if there else "warning",
        there,
        ("管理页面", "Page"),
        ("已构建", "Built") if there else ("尚未构建", "Not built"),
        ("在 apps/web_admin 运行 npm run build。", "Run `npm run build` in apps/web_admin."),
    )


def capabilities(tools: Tools, job_kinds: list[str]) -> dict[str, Any]:
    """Return what this machine can do. Imports the engines: some seconds at the first call."""
    from lipsync import registry as engines
    from lipsync.errors import StudioError
    from speech.tts import registry as voices

    found_engines = []
    for name in engines.names():
        try:
            has = engines.load_engine_class(name).capabilities
            found_engines.append(
                {
                    "name": name,
                    "available": True,
                    "trains": has.trains,
                    "instant_preview": has.instant_preview,
                    "needs_weights": has.needs_weights,
                    "lookahead_ms": has.lookahead_ms,
                }
            )
        except StudioError as error:
            found_engines.append({"name": name, "available": False, "reason": error.message})
    found_voices = []
    for name in voices.names():
        try:
            can = voices.load_class(name).capabilities
            found_voices.append(
                {
                    "name": name,
                    "available": True,
                    "languages": list(can.languages),
                    "streaming": can.streaming,
                    "cloning": can.cloning,
                    "needs_network": can.needs_network,
                }
            )
        except StudioError as error:
            found_voices.append({"name": name, "available": False, "reason": error.message})
    settings = tools.owner.in_force()
    return {
        "version": settings.version,
        "engines": found_engines,
        "voice_backends": found_voices,
        "devices": ["cpu", "cuda"] if shutil.which("nvidia-smi") else ["cpu"],
        "transports": ["webrtc", "rtmp", "whip", "camera", "sound"],
        "backgrounds": ["original", "colour", "image", "blur", "video"],
        "reply_backends": _reply_backends(),
        "job_kinds": job_kinds,
        "limits": {
            "upload_bytes": settings.upload_limit,
            "voice_bytes": settings.voice_limit,
            "sessions": settings.max_sessions,
            "preview_text": 500,
        },
    }


def _reply_backends() -> list[str]:
    return ["rules", "echo", "openai", "ollama"]
