"""One measurement a file; each has run(args) -> Result."""
