"""The engine that needs no downloaded weights: mouth shape from sound, picture from the take's own footage."""
