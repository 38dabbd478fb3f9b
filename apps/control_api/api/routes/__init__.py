"""One area of the HTTP contract a file."""
