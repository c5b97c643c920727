"""Published checkpoints: what their names mean, and the files they come in."""
