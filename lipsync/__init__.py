"""Shared library: takes, media, faces, audio features, bundles, the engine contract."""
