"""Outputs of live sessions beside their WebRTC clients, and the devices they may use."""

from __future__ import annotations

from fastapi import APIRouter, Request

from apps.control_api.api.deps import Studio, note_object
from apps.control_api.api.wire.outputs import Connections, Devices, Output, OutputCreate, OutputList
from apps.control_api.services.devices import devices

router = APIRouter(tags=["live"])


@router.post("/live/sessions/{session_id}/outputs", status_code=201)
async def create_live_output(session_id: str, wanted: OutputCreate, request: Request, studio: Studio) -> Output:
    """Send the session somewhere too: to a platform by RTMP or WHIP, to a virtual camera, to a sound device."""
    made = Output.model_validate(await studio.outputs.add(session_id, wanted.model_dump()))
    note_object(request, session_id)
    request.state.audit_detail = {"output_id": made.id, "kind": made.kind, "target": made.target}
    return made


@router.get("/live/sessions/{session_id}/outputs")
async def list_live_outputs(session_id: str, studio: Studio) -> OutputList:
    """How the session's outputs run."""
    return OutputList(items=[Output.model_validate(output) for output in studio.outputs.list(session_id)])


@router.delete("/live/sessions/{session_id}/outputs/{output_id}", status_code=204)
async def delete_live_output(session_id: str, output_id: str, request: Request, studio: Studio) -> None:
    """End an output; the session goes on."""
    note_object(request, session_id)
    request.state.audit_detail = {"output_id": output_id}
    await studio.outputs.remove(session_id, output_id)


@router.get("/live/sessions/{session_id}/connection")
async def get_live_connection(session_id: str, studio: Studio, check_turn: bool = False) -> Connections:
    """How clients connect, and why one could not; with `check_turn` the TURN server is asked for an address."""
    return Connections.model_validate(await studio.outputs.connection(session_id, check_turn))


@router.get("/system/devices", tags=["system"])
def list_devices() -> Devices:
    """Virtual cameras and sound devices of this machine, and what to install where there are none."""
    return Devices.model_validate(devices())
