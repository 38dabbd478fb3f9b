"""Takes: checking, preparing, reading."""
