"""``python -m apps.control_api``: the control API. Its first line on standard output says where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from apps.control_api import log
from apps.control_api.settings import Settings

_log = log.get(__name__)
_GRACE = 5


def parse(arguments: list[str] | None = None) -> tuple[Settings, bool]:
    """Return the settings (arguments before environment before defaults) and whether stdin is a lifeline."""
    parser = argparse.ArgumentParser(prog="python -m apps.control_api", description="The studio's control API.")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 lets the system choose (9001)")
    parser.add_argument("--data-dir", type=Path, help="where takes, the database and the token are kept (data)")
    parser.add_argument("--models-dir", type=Path, help="where trained bundles are kept (models)")
    parser.add_argument("--stdin-lifeline", action="store_true", help="stop when standard input ends")
    given = vars(parser.parse_args(arguments))
    lifeline = given.pop("stdin_lifeline")
    wanted = {k: v for k, v in given.items() if v is not None}
    for key in ("data_dir", "models_dir"):
        if key in wanted:
            wanted[key] = wanted[key].resolve()
    return Settings(**wanted), lifeline


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by every connection: head and body go out in two writes, and waiting to join them costs 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((host, port))
    sock.listen(512)
    sock.set_inheritable(False)
    return sock


def ready_line(sock: socket.socket, host: str) -> str:
    """Return the line that tells a parent where the API is."""
    port = sock.getsockname()[1]
    name = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  (shown, not bound)
    return json.dumps({"event": "ready", "port": port, "pid": os.getpid(), "url": f"http://{name}:{port}"})


async def serve(settings: Settings, lifeline: bool) -> None:
    """Serve until a signal comes or, with a lifeline, standard input ends."""
    import uvicorn

    from apps.control_api.app import create_app

    sock = bind(settings.host, settings.port)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                print(ready_line(sock, settings.host), flush=True)

    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=20,
        h11_max_incomplete_event_size=64 * 1024,
        ws_max_size=1 << 20,
        # Pictures are compressed already, and nothing here goes far.
        ws_per_message_deflate=False,
    )
    server = Server(config)
    if lifeline:
        threading.Thread(target=_watch_stdin, args=(server,), daemon=True, name="lifeline").start()
    await server.serve(sockets=[sock])


def _watch_stdin(server: Any) -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock, held by this thread, would break an orderly end by a signal
        pass
    _log.info("standard input has ended, stopping")
    server.should_exit = True


def main() -> None:
    """Run the API."""
    # Live pictures are many small matrix products: a second thread for each costs more than it gives, and spins.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    settings, lifeline = parse()
    log.configure(settings.log_level, settings.log_json, settings.data_dir / "logs" / "control_api.log")
    try:
        asyncio.run(_run(settings, lifeline))
    except KeyboardInterrupt:
        return
    except OSError as error:
        _log.error("cannot start", error=str(error))
        raise SystemExit(f"Cannot start: {error}. Choose another --port or --data-dir.") from error


async def _run(settings: Settings, lifeline: bool) -> None:
    from filelock import FileLock, Timeout

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(settings.data_dir / "studio.lock"))
    try:
        lock.acquire(timeout=2)
    except Timeout:
        raise SystemExit(f"A studio already uses {settings.data_dir}. Stop it, or choose another --data-dir.") from None
    try:
        await serve(settings, lifeline)
    finally:
        lock.release()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
