"""The shell commands: what can be known of them without installing anything."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [".ci/run", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "scripts").glob("*.sh"))]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_may_be_run_and_reads_as_bash(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True, timeout=10)


def test_setup_says_how_it_is_used() -> None:
    told = subprocess.run(["bash", "scripts/setup.sh", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert told.returncode == 2
    assert "STUDIO_TORCH_INDEX" in told.stdout


def test_torch_is_the_same_in_setup_and_project() -> None:
    setup = re.search(r"^TORCH=(\S+)$", (ROOT / "scripts/setup.sh").read_text(), re.M)
    project = re.search(r'"torch==([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert setup
    assert project
    assert setup[1] == project[1]


def test_running_and_testing_use_the_same_versions() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)", text, re.M))

    run, test = pins("base.txt"), pins("test.txt")
    assert len(run) > 50
    assert {name: test.get(name) for name in run} == run
    assert "torch" not in test
