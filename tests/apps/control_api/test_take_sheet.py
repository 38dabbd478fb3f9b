"""The contact sheet over HTTP: drawn once, open by its signed address, of prepared takes only."""

from __future__ import annotations

import asyncio
from typing import Any

import cv2
import numpy as np
import pytest

from apps.control_api.services import take_sheet
from apps.control_api.storage.tables import TakeRow
from tests.apps.control_api.conftest import Api
from tests.apps.control_api.test_guard import assert_error
from tests.apps.control_api.test_takes import judged, send
from tests.fakes.drawn_take import drawn_take

__all__ = ["judged"]


async def test_a_sheet_is_shown_of_a_prepared_take(
    api: Api, judged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = (await send(api, b"video")).json()
    assert take["sheet_url"] is None
    assert_error(await api.client.get(f"/takes/{take['id']}/sheet"), 409, "conflict")
    await asyncio.to_thread(drawn_take, api.studio.tools.files.take(take["id"]), seconds=0.6, size=96)
    with api.studio.tools.database.write() as session:
        row = session.get(TakeRow, take["id"])
        assert row is not None
        row.state = "prepared"
    address = "http://127.0.0.1:9001" + (await api.client.get(f"/takes/{take['id']}")).json()["sheet_url"]
    answer = await api.stranger.get(f"{address}&columns=5&rows=1&cell=64")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 5 * 70 + 6 and picture.shape[0] in (64 + 12, 128 + 12)
    monkeypatch.setattr(take_sheet, "contact_sheet", lambda *a: pytest.fail("the sheet was drawn again"))
    assert (await api.stranger.get(f"{address}&columns=5&rows=1&cell=64")).content == answer.content
    assert_error(await api.client.get(f"/takes/{take['id']}/sheet", params={"cell": 5000}), 422, "invalid_input")
    assert_error(await api.stranger.get(f"http://127.0.0.1:9001/api/v1/takes/{take['id']}/sheet"), 401, "unauthorised")
    assert_error(await api.client.get("/takes/none/sheet"), 404, "not_found")
