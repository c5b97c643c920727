"""The authors' arrays: Haiku's names and shapes, drawn from a model of ours and read back."""

import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from parity import randomise
from tiny import CONFIGS
from torch import nn

from mmparts.perceiver.layouts import HaikuPerceiverLayout
from mmparts.registry import MODELS
from mmparts.tasks import task_of
from mmparts.weights.convert import account
from mmparts.weights.errors import CorruptCheckpoint, WeightsDoNotFit
from mmparts.weights.readers import read_file

FILES = {
    'perceiver-io_fourier_8xb128-110e_imagenet': 'classification_decoder/~/basic_decoder/output/w',
    'perceiver-io_learned_8xb128-110e_imagenet': 'image_preprocessor/~/conv2_d/w',
    'perceiver-io_conv_8xb128-110e_imagenet': 'image_preprocessor/~/conv2_d_downsample/~/batchnorm/~/mean_ema/average',
    'perceiver-io_bytes_64xb8-500k_text': 'embedding_decoder/bias',
    'perceiver-io_flow_64xb8-480e_flow-pairs': 'flow_decoder/~/basic_decoder/output/w',
    'perceiver-io_autoencoder_64xb16-500k_clips': 'multimodal_preprocessor/label_mask_token/pos_embs',
}
OTHER_ENCODER = {'perceiver-io_autoencoder_64xb16-500k_clips': 'encoder/~/'}


def tiny(name: str) -> nn.Module:
    cfg = Config.fromfile(CONFIGS / 'perceiver_io' / f'{name}.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(task_of(cfg).tiny(cfg))
    randomise(model)
    return model


def as_theirs(model: nn.Module, name: str) -> dict[str, np.ndarray]:
    """The model under the authors' names, by the rules backwards; kernels in, out."""
    hint = {
        f'{OTHER_ENCODER.get(name, "perceiver_encoder/~/")}cross_attention/layer_norm/scale': None,
        f'{DECODER[name]}basic_decoder/cross_attention/layer_norm/scale': None,
    }
    rules = HaikuPerceiverLayout.rules(hint, model)
    found = {}
    for ours, tensor in model.state_dict().items():
        if ours.endswith('num_batches_tracked'):
            continue
        rule, match = next((rule, match) for rule in rules if (match := re.fullmatch(rule.ours, ours)))
        names = rule.sources(match)
        parts = split(tensor, len(names), model, ours)
        for theirs, part in zip(names, parts):
            if theirs.endswith('/w'):
                part = part.permute(2, 3, 1, 0) if part.ndim == 4 else part.t()
            if 'batchnorm' in theirs:
                part = part.view(1, 1, 1, -1)
            if theirs.endswith(('padding/pos_embs', 'mask_token/pos_embs')):
                part = part[None]
            if theirs.endswith('_build_network_inputs/trainable_position_encoding/pos_embs'):
                part = part.flatten(0, 1)
            found[theirs] = part.contiguous().numpy()
    return found


DECODER = {
    name: 'flow_decoder/~/' if 'flow' in name else 'multimodal_decoder/~/' if 'autoencoder' in name else
    '' if 'bytes' in name else 'classification_decoder/~/'
    for name in FILES
}  # fmt: skip


def split(tensor: torch.Tensor, count: int, model: nn.Module, name: str):
    if count == 1:
        return [tensor]
    attn = model.get_submodule(name.rpartition('.')[0])
    return tensor.split(list(attn.widths))


@pytest.mark.parametrize('name', FILES)
def test_their_arrays_fill_the_model(name, tmp_path):
    ours, fresh = tiny(name), tiny(name)
    arrays = as_theirs(ours, name)
    assert FILES[name] in arrays
    if 'conv_' in name:
        arrays['image_preprocessor/~/conv2_d_downsample/~/batchnorm/~/mean_ema/counter'] = np.zeros(())
    np.savez(tmp_path / 'theirs.npz', **{f'params/{key}': each for key, each in arrays.items()})

    made = account(read_file(tmp_path / 'theirs.npz'), fresh).check()
    assert made.layout == 'perceiver-haiku'
    fresh.load_state_dict(made.state, strict=False)
    assert all(each.equal(fresh.state_dict()[key]) for key, each in ours.state_dict().items())


def test_what_is_missing_or_too_much_is_named():
    name = 'perceiver-io_fourier_8xb128-110e_imagenet'
    model = tiny(name)
    arrays = {key: torch.from_numpy(each) for key, each in as_theirs(model, name).items()}
    arrays['perceiver_encoder/~/self_attention_1/layer_norm/scale'] = torch.ones(32)
    del arrays['perceiver_encoder/~/self_attention/mlp/linear/w']
    with pytest.raises(WeightsDoNotFit, match=r'1 missing, 1 unexpected') as error:
        account(arrays, model).check()
    assert 'self_attention/mlp/linear/w' in str(error.value)


def test_another_gelu_is_refused():
    name = 'perceiver-io_fourier_8xb128-110e_imagenet'
    arrays = {key: torch.from_numpy(each) for key, each in as_theirs(tiny(name), name).items()}
    model = tiny(name)
    model.backbone.encoder.gelu = 'erf'
    with pytest.raises(WeightsDoNotFit, match="trained with GELU with tanh; write gelu='tanh'"):
        account(arrays, model).check()


def test_a_pickle_is_refused_and_told_how_to_write_its_arrays(tmp_path):
    path = tmp_path / 'imagenet_fourier_position_encoding.pystate'
    path.write_bytes(pickle.dumps({'params': {'perceiver_encoder/~/cross_attention': {'w': np.ones(3)}}}))
    with pytest.raises(CorruptCheckpoint, match=r'imagenet_fourier.*Python pickle.*np\.savez\(OUT'):
        read_file(path)
