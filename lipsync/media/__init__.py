"""Video, sound, mattes and time."""
