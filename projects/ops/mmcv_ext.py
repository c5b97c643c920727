"""Placeholder."""
def install():
    pass
