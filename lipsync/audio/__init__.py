"""Streaming audio features."""
