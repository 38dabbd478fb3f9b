"""Pipeline stages, each a function of frames."""
