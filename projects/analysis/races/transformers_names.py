"""Our Deformable DETR under the parameter names of Hugging Face transformers (5.x, with its own ResNet as backbone).

Works on anything that is keyed by our parameter names: weights, or gradients, of which some may be missing. It knows
the four variants: base, single-scale, with box refinement, two-stage.
"""

import re

import torch
from torch import Tensor

RESNET = 'model.backbone.model'

# Pattern of our name, template of theirs; the first that fits decides.
RENAMES = [
    (re.compile(ours), theirs)
    for ours, theirs in [
        (r'backbone\.conv1\.(\w+)', RESNET + r'.embedder.embedder.convolution.\1'),
        (r'backbone\.bn1\.(\w+)', RESNET + r'.embedder.embedder.normalization.\1'),
        (
            r'backbone\.layer(?P<one>\d+)\.(\d+)\.downsample\.0\.(\w+)',
            RESNET + r'.encoder.stages.{one}.layers.\2.shortcut.convolution.\3',
        ),
        (
            r'backbone\.layer(?P<one>\d+)\.(\d+)\.downsample\.1\.(\w+)',
            RESNET + r'.encoder.stages.{one}.layers.\2.shortcut.normalization.\3',
        ),
        (
            r'backbone\.layer(?P<one>\d+)\.(\d+)\.conv(?P<two>\d+)\.(\w+)',
            RESNET + r'.encoder.stages.{one}.layers.\2.layer.{two}.convolution.\4',
        ),
        (
            r'backbone\.layer(?P<one>\d+)\.(\d+)\.bn(?P<two>\d+)\.(\w+)',
            RESNET + r'.encoder.stages.{one}.layers.\2.layer.{two}.normalization.\4',
        ),
        (r'neck\.convs\.(\d+)\.conv\.(\w+)', r'model.input_proj.\1.0.\2'),
        (r'neck\.convs\.(\d+)\.gn\.(\w+)', r'model.input_proj.\1.1.\2'),
        (r'encoder\.level_embed', r'model.level_embed'),
        (r'(encoder|decoder)\.layers\.(\d+)\.ffn\.0\.(\w+)', r'model.\1.layers.\2.mlp.fc1.\3'),
        (r'(encoder|decoder)\.layers\.(\d+)\.ffn\.3\.(\w+)', r'model.\1.layers.\2.mlp.fc2.\3'),
        (r'(encoder|decoder)\.layers\.(\d+)\.norm_ffn\.(\w+)', r'model.\1.layers.\2.final_layer_norm.\3'),
        (r'encoder\.layers\.(\d+)\.norm_attn\.(\w+)', r'model.encoder.layers.\1.self_attn_layer_norm.\2'),
        (r'encoder\.layers\.(\d+)\.self_attn\.(.+)', r'model.encoder.layers.\1.self_attn.\2'),
        (r'decoder\.layers\.(\d+)\.norm_self\.(\w+)', r'model.decoder.layers.\1.self_attn_layer_norm.\2'),
        (r'decoder\.layers\.(\d+)\.norm_cross\.(\w+)', r'model.decoder.layers.\1.encoder_attn_layer_norm.\2'),
        (r'decoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)', r'model.decoder.layers.\1.self_attn.o_proj.\2'),
        (r'decoder\.layers\.(\d+)\.cross_attn\.attn\.(.+)', r'model.decoder.layers.\1.encoder_attn.\2'),
        (r'queries\.point\.(\w+)', r'model.reference_points.\1'),
        (r'queries\.output\.(\w+)', r'model.enc_output.\1'),
        (r'queries\.output_norm\.(\w+)', r'model.enc_output_norm.\1'),
        (r'queries\.embed\.(\w+)', r'model.pos_trans.\1'),
        (r'queries\.embed_norm\.(\w+)', r'model.pos_trans_norm.\1'),
    ]
]
IN_PROJ = re.compile(r'decoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)')
EXTRA_CONV = re.compile(r'neck\.extra_convs\.(\d+)\.(conv|gn)\.(\w+)')
BRANCH = re.compile(r'head\.(class|box)_branches\.(\d+)\.(.+)')
PROPOSAL_BRANCH = re.compile(r'queries\.(class|box)_branch\.(.+)')
QUERY_EMBED = 'model.query_position_embeddings.weight'
UNUSED = re.compile(r'data_preprocessor\..*|.*\.num_batches_tracked')


def to_transformers(state: dict[str, Tensor], refine: bool | None = None) -> dict[str, Tensor]:
    """Rename, split and repeat the tensors of a Deformable DETR of ours.

    Args:
        state: our state dict, or gradients by parameter name.
        refine: whether references are refined between layers, which the names do not tell; by default they are when
            there is more than one box branch.

    Returns:
        Tensors under the names of ``DeformableDetrForObjectDetection``. Branches that we share appear once for each
        decoder layer, and once more in the decoder where that reads them.

    Raises:
        KeyError: Names that this layout has no place for.
    """
    levels, layers = _count(state, r'neck\.convs\.(\d+)'), _count(state, r'decoder\.layers\.(\d+)')
    branches = _count(state, r'head\.box_branches\.(\d+)')
    two_stage = any(PROPOSAL_BRANCH.fullmatch(name) for name in state)
    in_decoder = {'box': branches > 1 if refine is None else refine, 'class': two_stage}

    renamed, unknown = {}, []
    for name, tensor in state.items():
        if UNUSED.fullmatch(name) or name in ('queries.pos.weight', 'queries.content.weight'):
            continue
        if found := IN_PROJ.fullmatch(name):
            for part, piece in zip('qkv', tensor.chunk(3)):
                renamed[f'model.decoder.layers.{found[1]}.self_attn.{part}_proj.{found[2]}'] = piece
        elif found := EXTRA_CONV.fullmatch(name):
            renamed[f'model.input_proj.{levels + int(found[1])}.{int(found[2] == "gn")}.{found[3]}'] = tensor
        elif found := BRANCH.fullmatch(name) or PROPOSAL_BRANCH.fullmatch(name):
            kind, *index, rest = found.groups()
            places = [layers] if not index else [int(index[0])] if branches > 1 else range(layers)
            for place in places:
                for prefix in ('', 'model.decoder.') if in_decoder[kind] else ('',):
                    renamed[f'{prefix}{"bbox" if kind == "box" else kind}_embed.{place}.{rest}'] = tensor
        elif theirs := _rename(name):
            renamed[theirs] = tensor
        else:
            unknown.append(name)
    if 'queries.pos.weight' in state:
        renamed[QUERY_EMBED] = torch.cat([state['queries.pos.weight'], state['queries.content.weight']], dim=1)
    if unknown:
        raise KeyError(f"transformers' Deformable DETR has no place for {', '.join(unknown)}")
    return renamed


def _rename(name: str) -> str | None:
    for pattern, template in RENAMES:
        if found := pattern.fullmatch(name):
            counted = {key: int(value) - 1 for key, value in found.groupdict().items()}  # they count from zero
            return found.expand(template).format(**counted)
    return None


def _count(state: dict, pattern: str) -> int:
    """How many different numbers the group of ``pattern`` takes at the start of a name."""
    return len({found[1] for name in state if (found := re.match(pattern, name))})
