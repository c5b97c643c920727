"""Optimizers, their groups and rates, mixed precision, weights shared out among processes."""
