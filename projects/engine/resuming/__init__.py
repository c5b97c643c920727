"""A run that goes on where it stopped: its plan, its place in the data, its chance, its work dir."""
