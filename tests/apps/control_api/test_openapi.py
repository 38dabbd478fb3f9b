"""The OpenAPI document: stable names, one error shape, events in it; and no call that it allows ends in a 5xx."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from apps.control_api.app import create_app
from apps.control_api.settings import Settings
from tests.conftest import ROOT, Studio, start_studio, stop_studio


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("openapi"), token="t"))
    made: dict[str, Any] = app.openapi()
    app.state.container.tools.database.close()
    return made


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = start_studio(tmp_path_factory.mktemp("fuzz") / "data", token="t", requests_per_second="100000")
    yield studio
    stop_studio(studio)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, what) for path, item in document["paths"].items() for method, what in item.items()]


def test_the_script_prints_the_same_document(document: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/export_openapi.py"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(document))


def test_operations_have_stable_names_and_descriptions(document: dict[str, Any]) -> None:
    names = [what["operationId"] for _, _, what in operations(document)]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    for path, _, what in operations(document):
        assert path.startswith("/api/v1/") and (what.get("description") or what.get("summary"))


def test_the_contract_is_there(document: dict[str, Any]) -> None:
    wanted = """
        GET /health; GET /system/checks; GET /system/capabilities; GET /metrics; POST /takes; GET /takes;
        GET /takes/{take_id}; GET /takes/{take_id}/preview; DELETE /takes/{take_id}; GET /avatars;
        GET /avatars/{avatar_id};
        PATCH /avatars/{avatar_id}; DELETE /avatars/{avatar_id}; POST /avatars:train; POST /avatars:import;
        POST /avatars:export; GET /voices; POST /voices/{voice_id}:preview; POST /models/register; GET /models;
        GET /models/{model_id}; DELETE /models/{model_id}; POST /models/{model_id}:promote;
        POST /models/{model_id}:rollback; POST /models/{model_id}:approve; POST /models/{model_id}:reject; GET /jobs;
        GET /jobs/{job_id}; GET /jobs/{job_id}/logs; POST /jobs/{job_id}:cancel; POST /jobs/{job_id}:retry;
        POST /inference/video; POST /live/sessions; GET /live/sessions; DELETE /live/sessions/{session_id};
        POST /live/sessions/{session_id}/offer; POST /live/sessions/{session_id}:say;
        POST /live/sessions/{session_id}:chat; POST /live/sessions/{session_id}:interrupt;
        POST /live/sessions/{session_id}:audio; GET /live/sessions/{session_id}/stats; POST /messages:ingest;
        POST /live/sessions/{session_id}:record; GET /live/recordings; GET /live/recordings/{recording_id}/file;
        GET /scripts; GET /playlists; GET /audit/events; POST /events/ticket
    """
    there = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, method, _ in operations(document)}
    assert {" ".join(w.split()) for w in wanted.split(";")} - there == set()


def test_every_error_is_an_error_body(document: dict[str, Any]) -> None:
    for path, method, what in operations(document):
        assert {"401", "404", "422", "500"} <= set(what["responses"]), (method, path)
        for status, answer in what["responses"].items():
            if status >= "400":
                ref = answer["content"]["application/json"]["schema"]["$ref"]
                assert ref == "#/components/schemas/ErrorBody", (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_events_are_typed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    kinds = schemas["Event"]["discriminator"]["mapping"]
    assert set(kinds) == {"job", "job_log", "live", "system"}
    for kind, ref in kinds.items():
        assert schemas[ref.rsplit("/", 1)[-1]]["properties"]["type"]["const"] == kind
    text = json.dumps(document)
    for ref in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert ref in schemas, ref


def _settings(examples: int) -> Any:
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )


@pytest.mark.slow
def test_no_call_ends_in_a_server_error(document: dict[str, Any], fuzzed: Studio) -> None:
    """Every operation, with what its schema allows; statuses must be documented, 5xx never happen."""
    schema = schemathesis.openapi.from_dict(document)
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.given(case=operation.as_strategy())
        @_settings(6)
        def call(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(base_url=fuzzed.url, headers=fuzzed.headers, timeout=60)
            case.validate_response(answer, checks=[not_a_server_error, status_code_conformance])

        call()
    assert tried > 200


@pytest.mark.parametrize("path", ["takes", "jobs", "avatars", "models", "scripts"])
def test_strange_ids_are_not_found(fuzzed: Studio, path: str) -> None:
    with fuzzed.client() as client:
        for strange in ("%00", "..", "%2e%2e%2f", "😀", "x" * 2000, "' or 1=1 --", "null", "0"):
            assert client.get(f"/{path}/{strange}").status_code in (200, 400, 404, 422), strange
