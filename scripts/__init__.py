"""Thin programs: each calls a library or a service."""
