"""The tensors of a TorchScript archive, with no code of it run.

``torch.jit.load`` compiles the archive's code, and ``torch.load(weights_only=True)`` refuses such files. The archive is
a zip: its ``data.pkl`` is a tree of modules, each a class of the archive with a dict of attributes, and ``code/`` is
text that says which attributes are parameters and buffers. Here the pickle is read with four functions of torch that
make tensors and lists, all classes are the one below, and the text is searched, never compiled.
"""

import ast
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .errors import CorruptCheckpoint, UnsafeCheckpoint
from .torch_file import unsafe

# What unpickling raises on a broken or made-up archive.
FAULTS = (pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError)
# Numbers by the name of the storage that an archive asks for (whose class would warn that it is deprecated).
STORAGES = {
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'DoubleStorage': torch.float64,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'ShortStorage': torch.int16,
    'CharStorage': torch.int8,
    'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
}
MEMBERS = re.compile(r'__(?:parameters|buffers)__ = (\[.*?\])', re.DOTALL)


class Module:
    """Any class of an archive: a module with its attributes, or an object that is none."""

    members: frozenset[str] = frozenset()

    def __setstate__(self, state: Any):
        self.attributes = state if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    """Tensors, lists and `Module`; any other global is refused."""

    GLOBALS = {
        ('collections', 'OrderedDict'): OrderedDict,
        ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
        ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
        ('torch', 'device'): torch.device,
        **{('torch.jit._pickle', f'build_{kind}list'): list for kind in ('int', 'tensor', 'double', 'bool')},
        ('torch.jit._pickle', 'restore_type_tag'): lambda value, kind: value,
    }

    def __init__(self, archive: zipfile.ZipFile, root: str, path: str):
        super().__init__(archive.open(f'{root}/data.pkl'))
        self.archive, self.root, self.path = archive, root, path
        self.storages: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.split('.')[0] == '__torch__':
            members = _members(self.archive, f'{self.root}/code/{module.replace(".", "/")}.py', name)
            return type(name, (Module,), dict(members=members))
        if module == 'torch' and name in STORAGES:
            return STORAGES[name]
        if (module, name) not in self.GLOBALS:
            raise unsafe(self.path, f'{module}.{name}')
        return self.GLOBALS[module, name]

    def persistent_load(self, saved: tuple) -> torch.TypedStorage:
        _, dtype, key, _, _ = saved
        if key not in self.storages:
            data = torch.frombuffer(bytearray(self.archive.read(f'{self.root}/data/{key}')), dtype=torch.uint8)
            self.storages[key] = torch.storage.TypedStorage(
                wrap_storage=data.untyped_storage(), dtype=dtype, _internal=True
            )
        return self.storages[key]


def _members(archive: zipfile.ZipFile, file: str, name: str) -> frozenset[str]:
    """Names of the parameters and buffers that the text declares for a class."""
    try:
        text = archive.read(file).decode()
    except KeyError:
        return frozenset()
    body = re.split(r'^class ', text.partition(f'class {name}(')[2], maxsplit=1, flags=re.MULTILINE)[0]
    return frozenset(member for found in MEMBERS.findall(body) for member in ast.literal_eval(found))


def read_torchscript(path: str) -> dict[str, Tensor]:
    """Parameters and buffers by their dotted names, as ``torch.jit.load(path).state_dict()`` has them.

    Raises:
        CorruptCheckpoint: The archive cannot be read, or lacks what names its tensors.
        UnsafeCheckpoint: It asks for anything but tensors, lists and its own classes.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith('/constants.pkl')).rpartition('/')[0]
        try:
            tree = _Unpickler(archive, root, path).load()
        except UnsafeCheckpoint:
            raise
        except (
            pickle.UnpicklingError,
            EOFError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            RuntimeError,
        ) as error:
            raise CorruptCheckpoint(f'{path} is a TorchScript archive that cannot be read: {error}') from error
    if not isinstance(tree, Module):
        raise CorruptCheckpoint(f'{path} is a TorchScript archive of a {type(tree).__name__}, not of a module')
    return dict(_tensors(tree))


def _tensors(module: Module, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    for name, value in getattr(module, 'attributes', {}).items():
        if isinstance(value, Module):
            yield from _tensors(value, f'{prefix}{name}.')
        elif isinstance(value, Tensor) and name in module.members:
            yield prefix + name, value.detach()
