"""The control API: REST and WebSocket on localhost, task center, registry, live runtime."""
