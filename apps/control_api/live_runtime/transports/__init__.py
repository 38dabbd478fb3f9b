"""Where a session's sound and picture go."""
