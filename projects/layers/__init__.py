"""Bricks that two families or more use; they import nothing of ours but ops."""
