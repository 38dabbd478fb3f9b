"""The bench command: runs from any folder, ends with one JSON object."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A measurement named ``sample`` that returns what a real one does: numpy figures, a path, a not-a-number."""
    module = types.ModuleType("scripts.benchmarks.sample")

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--steps", type=int, default=3)

    def run(args: argparse.Namespace) -> dict[str, Any]:
        print("measuring")
        return {
            "figures": {"fps": np.float32(24.5), "p": {"a": np.arange(2)}, "none": float("nan")},
            "reference": {"fps": 10.0},
            "settings": {"steps": args.steps, "take": Path("x.mp4")},
        }

    module.add_arguments, module.run = add_arguments, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(bench, "names", lambda: ["sample"])
    return module


def test_last_line_is_one_json_object(measured: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["sample", "--steps", "7"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert "measuring" in lines[0]
    report = json.loads(lines[-1])
    assert report["name"] == "sample"
    assert report["figures"] == {"fps": 24.5, "p": {"a": [0, 1]}, "none": None}
    assert report["settings"] == {"steps": 7, "take": "x.mp4"}
    assert report["machine"]["cores"] >= 1
    assert "numpy" in report["machine"]["versions"]


def test_json_alone_on_standard_output(measured: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--json", "sample"]) == 0
    heard = capsys.readouterr()
    assert json.loads(heard.out)["reference"] == {"fps": 10.0}
    assert "measuring" in heard.err


def test_unknown_name_is_refused_with_those_known(
    measured: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(["nothing"])
    assert stopped.value.code == 2
    assert "sample" in capsys.readouterr().err


def test_runs_from_another_folder_and_every_measurement_has_help(tmp_path: Path) -> None:
    script = str(ROOT / "scripts/bench.py")
    listed = subprocess.run(
        [sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert listed.returncode == 0
    assert bench.names()
    for name in bench.names():
        assert name in listed.stdout
        helped = subprocess.run(
            [sys.executable, script, name, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert helped.returncode == 0, helped.stderr
        assert "--json" in helped.stdout
