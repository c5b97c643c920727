"""What all comparisons with transformers share: their config, their names of a ResNet, their answers."""

import parity
import torch
from parity import Batch
from torch import Tensor, nn

transformers = parity.reference('transformers')

# Their names to ours, see parity.translate.
BACKBONE = [
    (r'^model\.backbone\.model\.embedder\.embedder\.convolution', 'backbone.conv1'),
    (r'^model\.backbone\.model\.embedder\.embedder\.normalization', 'backbone.bn1'),
    (r'^model\.backbone\.model\.encoder\.stages\.(\d)\.layers', lambda found: f'backbone.layer{int(found[1]) + 1}'),
    (r'shortcut\.convolution', 'downsample.0'),
    (r'shortcut\.normalization', 'downsample.1'),
    (r'layer\.(\d)\.convolution', lambda found: f'conv{int(found[1]) + 1}'),
    (r'layer\.(\d)\.normalization', lambda found: f'bn{int(found[1]) + 1}'),
]


def their_config(kind: type, ours: nn.Module, **options):
    """Their config with the sizes of our model."""
    cfg = ours.cfg
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[32, 64, 128, 256],
        depths=[3, 4, 6, 3],
        layer_type='bottleneck',
        out_features=[f'stage{index + 1}' for index in cfg.backbone.out_indices],
    )
    return kind(
        backbone_config=backbone,
        use_timm_backbone=False,
        d_model=cfg.embed_dims,
        num_queries=cfg.num_queries,
        num_labels=cfg.num_classes,
        encoder_layers=cfg.encoder.num_layers,
        decoder_layers=cfg.decoder.num_layers,
        encoder_ffn_dim=cfg.encoder.ffn_channels,
        decoder_ffn_dim=cfg.decoder.ffn_channels,
        encoder_attention_heads=cfg.encoder.num_heads,
        decoder_attention_heads=cfg.decoder.num_heads,
        attn_implementation='eager',
        **options,
    )


def split_projections(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """They keep the projections of queries, keys and values apart."""
    split = {}
    for name, tensor in weights.items():
        if 'in_proj_' in name:
            split.update({name.replace('in_proj_', f'{one}_proj.'): part for one, part in zip('qkv', tensor.chunk(3))})
        else:
            split[name] = tensor
    return split


def call(theirs: nn.Module, weights: dict[str, Tensor], batch: Batch):
    """Their answer, with logits and boxes of all layers (L B N *) besides."""
    out = parity.run(theirs, weights, pixel_values=batch.images, pixel_mask=batch.valid, labels=batch.labels)
    layers = [*out.auxiliary_outputs, dict(logits=out.logits, pred_boxes=out.pred_boxes)]
    return out, torch.stack([each['logits'] for each in layers]), torch.stack([each['pred_boxes'] for each in layers])
