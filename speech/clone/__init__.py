"""A person's voice trained on this machine: base speech filtered towards the person, without downloaded weights."""
