"""mmparts: vision-transformer parts on the OpenMMLab registry."""

from .shipped import config
from .startup import install as _install
from .version import __version__

__all__ = ['__version__', 'config', 'load', 'train']

_install()


def load(config: str, checkpoint: str | None = None, device: str | None = None):
    """A trained model, ready to predict; see :func:`mmparts.inference.model.load`."""
    from .inference.model import load

    return load(config, checkpoint, device)


def train(data: str, **options):
    """Train on a folder of data or on a config and load the result; see :func:`mmparts.commands.train.train`."""
    from .commands.train import train

    return train(data, **options)
