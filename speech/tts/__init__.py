"""Text to speech: one file a back-end."""
