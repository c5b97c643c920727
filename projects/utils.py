"""What mmengine.hub calls on a package before it builds one of its models."""

from .registry import MODELS


def register_all_modules() -> None:
    """Import every part, so that all of them are registered."""
    MODELS.import_from_location()
