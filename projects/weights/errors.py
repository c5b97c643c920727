"""Errors of weight files: damaged, missing, unsafe, or of another model."""


class CorruptCheckpoint(RuntimeError):
    """The file is damaged, or holds no weights at all; the message says what it is."""


class UnsafeCheckpoint(RuntimeError):
    """The file asks for an object that could run code."""


class WeightsDoNotFit(RuntimeError):
    """Weights that are not those of the model."""
