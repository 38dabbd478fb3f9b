"""Shared library: text to speech, voices, recognition, replies."""
