"""Speech recognition: sound in, words out as they become certain. ``registry`` knows the back-ends by name."""
