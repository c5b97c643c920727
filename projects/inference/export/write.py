"""A trained model as ONNX or as a program of torch.export.

The file takes images of the size that it was exported for: what was not asked to be dynamic is a fixed number in the
graph, and runtimes refuse anything else. What torch.export cannot keep dynamic is refused while exporting.
"""

import contextlib
import json
import keyword
import logging
import os
import os.path as osp
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from ...engine.checkpoints.checkpoint import write_atomically
from ...ops.dcnv3.api import VARIANTS as DCN
from ...ops.deform_attn.api import VARIANTS as DEFORM
from ...ops.deform_attn.fused import VARIANTS as FUSED
from ...ops.deform_attn.volume import VARIANTS as VOLUME
from ...tasks import CannotExport, Graph

OPSET = 18
FORMATS = dict(onnx='.onnx', torch='.pt2')
LARGEST = 2**31 - 1  # bytes that one file of ONNX may have

# What half precision has no room for: places in the image and in the tokens, and what they are made of.
FULL = ['Resize', 'TopK', 'Range', 'Floor', 'Where', 'GatherElements', 'CumSum', 'Clip', 'Sin', 'Cos', 'Log', 'Sigmoid']
FULL += ['Gather', 'Min', 'Cast', 'Less', 'GreaterOrEqual', 'Expand', 'GridSample']


@dataclass
class Wanted:
    """What to export.

    Args:
        size: sides of the images: height, width (of volumes depth, height, width).
        batch: images at a time.
        dynamic: of 'batch' and 'size' what may vary.
        half: weights in half precision; inputs and outputs stay float32.
        opset: of ONNX, from 17 on.
        classes: names, which the file keeps.
    """

    size: tuple[int, ...]
    batch: int = 1
    dynamic: frozenset[str] = frozenset()
    half: bool = False
    opset: int = OPSET
    classes: Sequence[str] = field(default_factory=tuple)


def export(graph: Graph, path: str, wanted: Wanted) -> None:
    """Write a graph of `tasks/graphs.py`; the ending of ``path`` says the format.

    Raises:
        CannotExport: the model has a part that cannot be written, or a side that cannot vary.
        ImportError: a package is missing; the message says which.
    """
    if wanted.opset < 17:
        raise CannotExport(f'opset {wanted.opset}; LayerNormalization needs 17 or more')
    if not path.endswith(tuple(FORMATS.values())):
        raise CannotExport(f'{path}: the name must end with {" or ".join(FORMATS.values())}')
    if wanted.half and not path.endswith('.onnx'):
        raise CannotExport('half precision is of ONNX files; a program of torch can be cast by who runs it')
    graph.check(wanted.size)
    program = traced(graph, wanted)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    (write_onnx if path.endswith('.onnx') else write_torch)(program, graph, path, wanted)


def traced(graph: Graph, wanted: Wanted) -> torch.export.ExportedProgram:
    """The program of a graph, with plain operators in place of our own."""
    # A batch of one would be taken for a number that never varies.
    examples = graph.examples(max(wanted.batch, 2 if 'batch' in wanted.dynamic else 1), wanted.size)
    dims = {0: torch.export.Dim('batch')} if 'batch' in wanted.dynamic else {}
    if 'size' in wanted.dynamic:
        steps = graph.divisors(len(wanted.size))
        dims.update({2 + axis: step * torch.export.Dim(f'steps{axis}', min=2) for axis, step in enumerate(steps)})
    graph.any_size = 'size' in wanted.dynamic
    with plain_parts(graph), plain_operators(), torch.no_grad(), quiet():
        try:
            vary = tuple({axis: dim for axis, dim in dims.items() if axis < each.ndim} for each in examples)
            return torch.export.export(graph.eval(), examples, dynamic_shapes=(vary,) if dims else None)
        except Exception as error:
            raise CannotExport(reason(graph, wanted, error)) from error


def reason(graph: Graph, wanted: Wanted, error: Exception) -> str:
    """Why a model could not be exported, in a line."""
    name = type(graph.model).__name__
    while error.__cause__ is not None:
        error = error.__cause__
    said = (str(error).strip().splitlines() or [''])[0][:200]
    if wanted.dynamic:
        return (
            f'{" and ".join(sorted(wanted.dynamic))} cannot vary in {name}, which computes with fixed numbers there; '
            f'export a file for each. ({type(error).__name__}: {said})'
        )
    return f'{name} cannot be exported: {type(error).__name__}: {said}'


@contextlib.contextmanager
def plain_operators() -> Iterator[None]:
    """No operator of ours; deformable attention by gathers, without GridSample."""
    with DEFORM.use('gather'), FUSED.use('apart'), VOLUME.use('reference'), DCN.use('reference'):
        yield


@contextlib.contextmanager
def plain_parts(graph: Graph) -> Iterator[None]:
    """What exporters stumble over, changed for a while: parts under a word of Python, of which torch.export writes code
    (mmcv's ConvModule calls instance norms `in`); convolutions of volumes without bias (onnxscript 0.7.2 makes one of
    two axes)."""
    undo: list[Callable] = []
    for module in list(graph.modules()):
        for name in [name for name in module._modules if keyword.iskeyword(name)]:
            undo.append(partial(rename, module, f'{name}_', name))
            rename(module, name, f'{name}_')
        if isinstance(module, nn.Conv3d) and module.bias is None:
            undo.append(partial(setattr, module, 'bias', None))
            module.bias = nn.Parameter(module.weight.new_zeros(module.out_channels))
    try:
        yield
    finally:
        for change in undo:
            change()


def rename(module: nn.Module, old: str, new: str) -> None:
    """Call a part otherwise; a ConvModule of mmcv remembers the name of its norm."""
    module._modules[new] = module._modules.pop(old)
    if getattr(module, 'norm_name', None) == old:
        module.norm_name = new


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what exporters say of themselves."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'torch.export', 'onnxscript', 'onnx_ir')]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before):
                logger.setLevel(level)


def write_torch(program: torch.export.ExportedProgram, graph: Graph, path: str, wanted: Wanted) -> None:
    torch.export.save(program, path, extra_files=dict(meta=json.dumps(meta_of(graph, wanted))))


def write_onnx(program: torch.export.ExportedProgram, graph: Graph, path: str, wanted: Wanted) -> None:
    """ONNX in one file, with class names and sizes in its metadata."""
    try:
        import onnx
        import onnx_ir
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{error}; pip install "mmparts-toolbox[export]"') from error
    with quiet(), torch.no_grad():
        try:
            made = torch.onnx.export(
                program, input_names=list(graph.inputs), output_names=list(graph.outputs), opset_version=wanted.opset,
                dynamo=True, verbose=False, optimize=False,  # runtimes do that; onnxscript 0.7.2 loses constants
            ).model  # fmt: skip
        except Exception as error:
            raise CannotExport(reason(graph, wanted, error)) from error
    if wanted.half:
        made = onnx_ir.from_proto(halved(onnx_ir.to_proto(made)))
    for node in made.graph:
        node.metadata_props.clear()  # where the code lay that made it
    made.graph.sort()  # passes over the graph leave nodes behind those that read them
    model = onnx_ir.to_proto(made)
    for key, value in meta_of(graph, wanted).items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    if model.ByteSize() > LARGEST:
        raise CannotExport(f'{model.ByteSize() / 2**30:.1f} GiB; one file of ONNX may have 2; half precision halves it')
    onnx.checker.check_model(model)
    write_atomically(model.SerializeToString(), path)


def halved(model):
    """Weights in half precision, what needs the room in full."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with quiet():
        return convert_float_to_float16(model, keep_io_types=True, op_block_list=FULL)


def meta_of(graph: Graph, wanted: Wanted) -> dict:
    """What the file says of itself."""
    return dict(
        classes=list(wanted.classes),
        size=list(wanted.size),
        dynamic=sorted(wanted.dynamic),
        input=graph.says,
        outputs=list(graph.outputs),
        results='yes' if graph.post else 'no',
    )
