"""The ``mmcv`` variants: none of mmcv-lite; of a full mmcv its compiled ops, called as they want it."""

import itertools
import sys
from types import ModuleType

import pytest
import torch

from mmparts.ops import deform_conv, focal_loss
from mmparts.ops.mmcv import calls
from mmparts.ops.mmcv.compiled import compiled_op
from mmparts.ops.mmcv.finder import NAME
from mmparts.ops.nms import api as nms
from mmparts.ops.roi_align import api as roi_align

ALL = [nms.NMS, nms.NMS_MATCH, nms.SOFT_NMS, roi_align.VARIANTS, focal_loss.VARIANTS, deform_conv.VARIANTS]


@pytest.fixture
def full(monkeypatch):
    """A full mmcv with the functions that mmcv-lite is lent: they are called in the same way, as its wrappers show."""
    extension = ModuleType(NAME)
    extension.__spec__ = sys.__spec__
    for name, call in calls.CALLS.items():
        setattr(extension, name, call)
    monkeypatch.setitem(sys.modules, NAME, extension)
    return extension


def test_the_stand_in_of_mmcv_lite_is_not_compiled():
    import mmcv._ext

    if not mmcv._ext.get_compiler_version().startswith('none'):
        pytest.skip('a full mmcv is here')
    with pytest.raises(ImportError, match='mmcv-lite.*a full mmcv has'):
        compiled_op('nms')
    for op in ALL:
        with op.use('mmcv'), pytest.raises(RuntimeError, match='mmcv-lite|runs on cuda'):
            op.choose(torch.device('cpu'))


def test_without_mmcv_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, NAME, None)
    with pytest.raises(ImportError, match='no compiled ops here.*a full mmcv has'):
        compiled_op('nms')


def test_an_op_that_was_not_built_is_named(full):
    del full.softnms
    with pytest.raises(ImportError, match='without the op softnms'):
        compiled_op('softnms')


@pytest.mark.parametrize('op', ALL, ids=lambda op: op.name)
def test_each_is_called_as_mmcv_wants(full, op, monkeypatch):
    call, tensors = op.example()
    tensors = [tensor.detach()[:30] for tensor in tensors]
    with op.use('reference'):
        expected, reference = call(*tensors), op.choose(tensors[0].device)
    # The example takes the compiled function, and that, here, takes the reference.
    turns = itertools.cycle([op.variants['mmcv'].load(), reference])
    monkeypatch.setattr(op, 'choose', lambda *kind: next(turns))
    found = call(*tensors)
    assert next(turns) is not reference
    assert torch.equal(found, expected) if torch.is_tensor(found) else all(map(torch.equal, found, expected))


def test_the_first_form_of_deformable_convolution_adds_its_bias(full):
    features, offset, weight, _, bias = (tensor.detach() for tensor in deform_conv._example()[1])
    layout = ((1, 1), (1, 1), (1, 1), 1, 1)
    with deform_conv.VARIANTS.use('reference'):
        found = deform_conv.VARIANTS.variants['mmcv'].load()(features, offset, weight, None, bias, *layout)
        assert torch.equal(found, deform_conv.deform_conv2d(features, offset, weight, None, bias, *layout))
