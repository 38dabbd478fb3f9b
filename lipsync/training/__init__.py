"""Training shared by the engines."""
