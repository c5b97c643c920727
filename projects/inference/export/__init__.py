"""Models as files that run elsewhere: ONNX, and programs of torch.export."""

from .agreement import Agreement, agree
from .images import inputs_of
from .write import Wanted, export

__all__ = ['Agreement', 'Wanted', 'agree', 'export', 'inputs_of']
