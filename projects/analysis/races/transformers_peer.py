"""A Deformable DETR of Hugging Face transformers of the same sizes and weights as ours, and steps to race the two.

Each step checks before it is timed that both sides do the same work.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from torch import Tensor, nn

from ...detr.detector import QueryDetector
from ...ops.mmcv.torchvision_guard import declare_ops_where_broken
from .transformers_names import to_transformers

# Largest differences, the last two relative. A sample that lies on the border of two cells has two gradients.
LOGITS, BOXES, LOSS, GRADIENTS = 1e-4, 1e-5, 1e-5, 1e-2


@dataclass
class Contest:
    """Two callables that do the same work; ``check`` raises AssertionError if they do not, else says how close."""

    ours: Callable[[], object]
    theirs: Callable[[], object]
    check: Callable[[], str]


def transformers_peer(model: QueryDetector) -> nn.Module:
    """``DeformableDetrForObjectDetection`` with plain torch attention and a copy of the weights of ``model``.

    Args:
        model: any of the four variants, on an mmdet ResNet.
    """
    resnet, layer, block = model.backbone, model.decoder.layers[0], model.encoder.layers[0]
    if not (hasattr(resnet, 'stage_blocks') and hasattr(block.self_attn, 'num_levels')):
        raise ValueError(
            f'the comparison takes a Deformable DETR on a ResNet, got {type(model.encoder).__name__} on '
            f'{type(resnet).__name__}'
        )
    transformers = import_transformers()
    two_stage = hasattr(model.queries, 'embed')
    refine = len(model.head.box_branches) > 1
    backbone = transformers.ResNetConfig(
        embedding_size=resnet.stem_channels,
        depths=list(resnet.stage_blocks),
        hidden_sizes=[resnet.base_channels * resnet.block.expansion * 2**stage for stage in range(4)],
        layer_type='basic' if resnet.block.expansion == 1 else 'bottleneck',
        out_features=[f'stage{index + 1}' for index in resnet.out_indices],
    )
    queries = model.queries.num_queries if two_stage else model.queries.pos.num_embeddings
    config = transformers.DeformableDetrConfig(
        backbone_config=backbone,
        disable_custom_kernels=True,
        d_model=block.norm_attn.normalized_shape[0],
        num_labels=model.head.num_classes,
        num_queries=queries,
        two_stage_num_proposals=queries,
        num_feature_levels=block.self_attn.num_levels,
        encoder_n_points=block.self_attn.num_points,
        decoder_n_points=layer.cross_attn.attn.num_points,
        encoder_layers=len(model.encoder.layers),
        decoder_layers=model.decoder.num_layers,
        encoder_attention_heads=block.self_attn.num_heads,
        decoder_attention_heads=layer.self_attn.num_heads,
        encoder_ffn_dim=block.ffn[0].out_features,
        decoder_ffn_dim=layer.ffn[0].out_features,
        dropout=layer.dropout.p,
        two_stage=two_stage,
        with_box_refine=refine,
        auxiliary_loss=True,
        class_cost=2,
        tie_word_embeddings=not refine,
    )
    peer = transformers.DeformableDetrForObjectDetection(config)
    peer.load_state_dict(to_transformers(model.state_dict(), refine))

    # Theirs freezes the whole of its own ResNet; what trains is what trains on our side.
    trainable = to_transformers({name: each for name, each in model.named_parameters() if each.requires_grad}, refine)
    for name, parameter in peer.named_parameters():
        parameter.requires_grad_(name in trainable)
    return peer.to(next(model.parameters()).device)


def import_transformers():
    """The transformers library, also beside a torchvision that does not fit torch."""
    declare_ops_where_broken()
    try:
        import transformers
    except ImportError as error:
        raise ImportError('the comparison needs transformers: pip install "mmparts-toolbox[parity]"') from error
    return transformers


def inference_contest(model: QueryDetector, images: Tensor, samples: list) -> Contest:
    """Images to the class logits and boxes of every decoder layer."""
    peer = transformers_peer(model).eval()
    model.eval()

    @torch.no_grad()
    def ours():
        return model(images, samples, mode='tensor')

    @torch.no_grad()
    def theirs():
        return peer(images)

    def check():
        first, second = ours(), theirs()
        logits = (first['logits'][-1] - second.logits).abs().max().item()
        boxes = (first['boxes'][-1] - second.pred_boxes).abs().max().item()
        assert logits <= LOGITS and boxes <= BOXES, f'logits differ by {logits:.1e}, boxes by {boxes:.1e}'
        return f'logits within {logits:.1e}, boxes within {boxes:.1e}'

    return Contest(ours, theirs, check)


def training_contest(model: QueryDetector, images: Tensor, samples: list) -> Contest:
    """Forward, loss of all decoder layers and backward.

    Args:
        model: without dropout, which the two apply in different places, and with a class loss of weight 1, as theirs.
        images: B 3 H W, each padded at its right and lower side as its sample says.
    """
    dropouts = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert dropouts == {0.0}, f'the model has dropout {dropouts}; build it with encoder.dropout=0 decoder.dropout=0'
    peer = transformers_peer(model).train()
    model.train()
    mask, labels = _as_theirs(images, samples)

    def ours():
        model.zero_grad()
        loss = sum(model(images, samples, mode='loss').values())
        loss.backward()
        return loss.item()

    def theirs():
        peer.zero_grad()
        loss = peer(images, pixel_mask=mask, labels=labels).loss
        loss.backward()
        return loss.item()

    def check():
        first, second = ours(), theirs()
        loss = abs(first - second) / second
        gradients = _largest_difference(model, peer)
        assert loss <= LOSS and gradients <= GRADIENTS, (
            f'losses are {first} and {second}, gradients differ by {gradients:.1e}'
        )
        return f'loss {first:.6f} within {loss:.1e}, gradients within {gradients:.1e}'

    return Contest(ours, theirs, check)


def _as_theirs(images: Tensor, samples: list) -> tuple[Tensor, list[dict]]:
    """Their pixel mask (1 on the image) and labels (normalised cxcywh)."""
    mask = torch.zeros_like(images[:, 0], dtype=torch.long)
    labels = []
    for one, sample in zip(mask, samples):
        height, width = sample.img_shape
        one[:height, :width] = 1
        gt = sample.gt_instances
        boxes = bbox_xyxy_to_cxcywh(gt.bboxes) / gt.bboxes.new_tensor([width, height, width, height])
        labels.append(dict(class_labels=gt.labels, boxes=boxes))
    return mask, labels


def _largest_difference(model: nn.Module, peer: nn.Module) -> float:
    """Over the parameters: the norm of the difference of the two gradients, relative to the norm of theirs.

    A parameter whose gradient is next to nothing in the whole (a key's bias, say) is held against the whole.
    """
    mapped = to_transformers(
        {name: each.grad for name, each in model.named_parameters() if each.grad is not None},
        refine=len(model.head.box_branches) > 1,
    )
    theirs = {name: each.grad for name, each in peer.named_parameters() if each.grad is not None}
    missing = theirs.keys() - mapped.keys()
    assert not missing, f'we have no gradient for {sorted(missing)}'
    whole = torch.stack([each.norm() for each in theirs.values()]).norm()
    ratios = [(mapped[name] - each).norm() / each.norm().clamp(min=1e-4 * whole) for name, each in theirs.items()]
    return max(ratios).item()
