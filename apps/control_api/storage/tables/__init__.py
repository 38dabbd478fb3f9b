"""One table a file."""
