"""What a live session shows, changed while it runs; actions of avatars."""

from __future__ import annotations

from fastapi import APIRouter, Request

from apps.control_api.api.deps import Studio, note_object
from apps.control_api.api.wire.live import Session
from apps.control_api.api.wire.scene import Act, Acted, Action, ActionCreate, ActionList, Swap

router = APIRouter(tags=["live"])


@router.post("/live/sessions/{session_id}:swap")
async def swap_in_live_session(session_id: str, wanted: Swap, request: Request, studio: Studio) -> Session:
    """Go on with another avatar, voice or background; connections, outputs and speech are kept.

    The answer comes when the change is about to show; where it fails, all stays as it was. An avatar of another size
    is scaled to the session's. Speech goes on with the new avatar's mouth; a new voice begins with the next sentence.
    """
    note_object(request, session_id)
    request.state.audit_detail = wanted.model_dump(exclude_none=True)
    return Session.model_validate(await studio.scene.swap(session_id, wanted.model_dump()))


@router.post("/live/sessions/{session_id}:action", status_code=202)
async def act_in_live_session(session_id: str, wanted: Act, studio: Studio) -> Acted:
    """Play one of the avatar's actions: it begins within about a second, where the poses meet, and leads back."""
    return Acted(session_id=session_id, name=wanted.name, turn=await studio.scene.act(session_id, wanted.name))


@router.get("/avatars/{avatar_id}/actions", tags=["avatars"])
def list_avatar_actions(avatar_id: str, studio: Studio) -> ActionList:
    """An avatar's actions."""
    return ActionList(items=[Action.model_validate(action) for action in studio.actions.list(avatar_id)])


@router.post("/avatars/{avatar_id}/actions", status_code=201, tags=["avatars"])
def create_avatar_action(avatar_id: str, wanted: ActionCreate, request: Request, studio: Studio) -> Action:
    """Cut an action out of a prepared take of the avatar's person; sessions opened from now on know it."""
    action = studio.actions.add(avatar_id, wanted.model_dump())
    note_object(request, action.id)
    return Action.model_validate(action)


@router.delete("/avatars/{avatar_id}/actions/{action_id}", status_code=204, tags=["avatars"])
def delete_avatar_action(avatar_id: str, action_id: str, request: Request, studio: Studio) -> None:
    """Delete an action."""
    note_object(request, action_id)
    studio.actions.delete(avatar_id, action_id)
