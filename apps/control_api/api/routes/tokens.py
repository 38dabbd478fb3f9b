"""Who may call: tokens made and ended by the owner."""

from __future__ import annotations

from fastapi import APIRouter, Request

from apps.control_api.api.deps import Cursor, Limit, Studio, note_object
from apps.control_api.api.roles import caller_role
from apps.control_api.api.wire.tokens import Token, TokenCreate, TokenCreated, TokenPage, WhoAmI

router = APIRouter(tags=["tokens"])


@router.get("/whoami")
async def get_whoami(request: Request) -> WhoAmI:
    """The name and the role of the token this call carries."""
    return WhoAmI(actor=request.state.actor, role=caller_role.get())


@router.get("/tokens")
def list_tokens(studio: Studio, limit: Limit = 50, cursor: Cursor = None) -> TokenPage:
    """List tokens, newest first; the owner's own, kept in the data folder, is none of them."""
    part = studio.tokens.list(limit, cursor)
    return TokenPage(items=[Token.model_validate(row) for row in part.items], next_cursor=part.next_cursor)


@router.post("/tokens", status_code=201)
def create_token(wanted: TokenCreate, request: Request, studio: Studio) -> TokenCreated:
    """Make a token with a role; its secret is in this answer alone."""
    row, secret = studio.tokens.create(wanted.name, wanted.role, wanted.until)
    note_object(request, row.id)
    request.state.audit_detail = {"role": row.role, "name": row.name}
    return TokenCreated(**Token.model_validate(row).model_dump(), token=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, studio: Studio) -> None:
    """End a token at once."""
    studio.tokens.revoke(token_id)
