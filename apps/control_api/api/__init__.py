"""HTTP: a handler parses, calls one service, returns."""
