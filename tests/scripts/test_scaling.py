"""compose.yaml names commands and settings that exist; the simulation obeys arithmetic and is what the guide shows."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.control_api.settings import Settings
from scripts.simulate_scaling import main, simulate

ROOT = Path(__file__).resolve().parents[2]
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return found


def test_the_services_are_those_promised(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"api", "worker-1", "worker-2", "redis", "postgres"}
    assert {name for name, s in services.items() if s.get("profiles") == ["workers"]} == {"worker-1", "worker-2"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_settings_and_commands_exist(compose: dict[str, Any]) -> None:
    known = {f"STUDIO_{name.upper()}" for name in Settings.model_fields}
    for name in ("api", "worker-1", "worker-2"):
        service = compose["services"][name]
        assert set(service["environment"]) <= known
        program, *rest = service["command"]
        assert program == ".venv/bin/python"
        options = [word for word in rest[2:] if word.startswith("--")]
        said = subprocess.run(
            [sys.executable, *rest[:2], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
        ).stdout
        assert options and all(option in said for option in options)
    recipe = compose["services"]["api"]["build"]["dockerfile_inline"]
    assert "./scripts/setup.sh" in recipe and (ROOT / "scripts/setup.sh").is_file()


def options(**more: Any) -> argparse.Namespace:
    plain = {
        **{"jobs": 200, "seed": 1, "megabytes": 0.0, "megabits": 100.0, "start": 0.0},
        **{"lease": 15.0, "restart": 10.0, "hours_between_deaths": 1e9},
    }
    return argparse.Namespace(**{**plain, **more})


def test_the_simulation_obeys_arithmetic() -> None:
    alone = simulate(1, options())
    assert alone.busy == pytest.approx(1.0) and alone.deaths == 0
    for workers in (2, 8):
        many = simulate(workers, options())
        assert alone.hours / workers <= many.hours <= alone.hours / workers + 20 / 60
    deadly = simulate(8, options(hours_between_deaths=2.0))
    assert deadly.deaths > 0 and deadly.hours > simulate(8, options()).hours
    line = simulate(64, options(megabytes=1000.0))  # 80 s a job on one line
    assert line.hours >= 200 * 80 / 3600


def test_the_guides_show_what_the_simulation_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == 7
    for name in ("scaling.md", "scaling.zh-CN.md"):
        text = (ROOT / "docs" / name).read_text("utf-8")
        assert all(row in text for row in rows), f"docs/{name}: run scripts/simulate_scaling.py and put its table in"
