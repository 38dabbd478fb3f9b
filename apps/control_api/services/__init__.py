"""Use-cases: plain classes and functions, no web framework, no broker."""
