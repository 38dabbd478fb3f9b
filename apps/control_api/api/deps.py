"""What handlers ask for, as annotated aliases in one place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, WebSocket
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from apps.control_api.container import Container


def _container(connection: HTTPConnection) -> Container:
    container: Container = connection.app.state.container
    return container


Studio = Annotated[Container, Depends(_container)]
Limit = Annotated[int, Query(ge=1, le=200, description="Items at most.")]
Cursor = Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before.")]

__all__ = ["Cursor", "Limit", "Request", "Studio", "WebSocket", "note_object", "plain"]


def note_object(request: Request, object_id: str) -> None:
    """Name the object a call made, for the audit trail."""
    request.state.object_id = object_id


def plain(secret: SecretStr | None) -> str | None:
    """Return a secret of a body in clear, for whoever it is meant for."""
    return secret.get_secret_value() if secret is not None else None
