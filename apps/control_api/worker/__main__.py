"""``python -m apps.control_api.worker``: started by the API; its settings come as the first line of standard input.

Standard input stays open as a lifeline: when it ends, the job at hand goes back into the queue at its next safe point.

``python -m apps.control_api.worker --celery``: started by hand or by a supervisor, on any machine that reaches the
database and Redis; its settings come from the environment, and a signal ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading

from apps.control_api import log
from apps.control_api.services.tools import build_tools
from apps.control_api.settings import Settings
from apps.control_api.worker.loop import Worker

_PATIENCE = 6.0
_NICE = 5


def main() -> None:
    """Work until standard input ends or, with ``--celery``, until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m apps.control_api.worker", description="A worker of the studio.")
    parser.add_argument("--celery", action="store_true", help="be woken by Celery; settings from the environment")
    if parser.parse_args().celery:
        _be_woken()
    else:
        _be_owned()


def _be_woken() -> None:
    from apps.control_api.worker.celery_dispatch import run_worker

    settings = Settings()
    log.configure(settings.log_level, settings.log_json)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    run_worker(settings)


def _be_owned() -> None:
    first = sys.stdin.buffer.readline()
    if not first:
        return
    given = json.loads(first)
    settings = Settings.model_validate(given["settings"])
    log.configure(settings.log_level, settings.log_json)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the API decides when we end
    if hasattr(os, "nice"):
        os.nice(_NICE)  # somebody live comes first
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), daemon=True, name="lifeline").start()
    tools = build_tools(settings)
    try:
        Worker(tools, given["owner"], stop).run()
    finally:
        tools.database.close()


def _watch(stop: threading.Event) -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock, held by this thread, would break an orderly end
        pass
    stop.set()
    threading.Timer(_PATIENCE, os._exit, args=(3,)).start()  # no safe point came: the lease runs out by itself


if __name__ == "__main__":
    main()
