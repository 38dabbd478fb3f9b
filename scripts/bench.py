"""One measurement: ``python scripts/bench.py NAME [--json] [options of that measurement]``.

A measurement is a module of ``scripts/benchmarks`` with ``add_arguments(parser)`` and ``run(args)``, which returns
``{"figures": {...}, "reference": {...}, "settings": {...}}``. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).resolve().parent / "benchmarks"
PACKAGES = ("torch", "numpy", "onnxruntime", "openvino", "opencv-python-headless", "av", "aiortc")


def names() -> list[str]:
    """Measurements there are."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model, memory = platform.processor() or platform.machine(), 0.0
    with contextlib.suppress(OSError):  # not on every system
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with contextlib.suppress(ValueError, OSError, AttributeError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": model,
        "cores": usable,
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": None if load is None else round(load, 2),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def plain(value: Any) -> Any:
    """``value`` as JSON knows it: numpy scalars and paths made plain, figures that are not numbers made null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)


def show(title: str, values: dict[str, Any]) -> None:
    """Print one section, a line a value, nested ones indented."""
    print(f"\n{title}")
    for key, value in values.items():
        if isinstance(value, dict):
            print(f"  {key}")
            for inner, item in value.items():
                print(f"    {inner:<26} {item}")
        else:
            print(f"  {key:<28} {value}")


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    given = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=names(), metavar="NAME", help=", ".join(names()) or "none yet")
    parser.add_argument("--json", action="store_true", help="print the JSON object alone")
    if not given or given[0] in {"-h", "--help"}:
        parser.print_help()
        return 0 if given else 2
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # as the studio sets it, before numpy is loaded
    named = parser.parse_known_args([word for word in given if not word.startswith("-")][:1])[0].name
    module: ModuleType = importlib.import_module(f"scripts.benchmarks.{named}")
    module.add_arguments(parser)
    args = parser.parse_args(given)
    on = machine()
    # With --json the words of a measurement go to standard error, so that standard output is the object alone.
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        result = module.run(args)
    report = plain(
        {
            "name": args.name,
            "figures": result["figures"],
            "reference": result.get("reference", {}),
            "machine": on,
            "settings": result.get("settings", {}),
        }
    )
    if not args.json:
        for section in ("machine", "settings", "reference", "figures"):
            show(section, report[section])
        print()
    print(json.dumps(report, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
