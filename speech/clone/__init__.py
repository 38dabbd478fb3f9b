"""A person's voice, trained on this machine."""
