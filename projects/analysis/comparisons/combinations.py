"""Every query source with every cross-attention and extra group: what is refused, and whether all the rest works.

What stands around the three is chosen to suit them, see :func:`config`. All are a few channels wide and two layers
deep.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from mmdet.testing import demo_mm_inputs
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ...detr.structures import Targets
from ...registry import MODELS, build_part

SHARED = dict(embed_dims=32, num_queries=10, num_classes=3, num_levels=2)
TOLERANCE = 1e-5  # of logits and boxes: products of other sizes round differently

QUERIES = {
    'LearnedQueries': dict(type='mmparts.LearnedQueries'),
    'PointQueries': dict(type='mmparts.PointQueries'),
    'AnchorQueries': dict(type='mmparts.AnchorQueries'),
    'TopKQueries': dict(type='mmparts.TopKQueries'),
    'TopKQueries, mixed': dict(
        type='mmparts.TopKQueries', mixed_selection=True, embed_boxes=False, class_agnostic=False
    ),
    'MaskQueries': dict(type='mmparts.MaskQueries'),
}
DENSE, CONDITIONAL = (dict(type=f'mmparts.{kind}CrossAttention') for kind in ('Dense', 'Conditional'))
CROSS_ATTENTION = {
    'Dense': DENSE,
    'Deformable': dict(type='mmparts.DeformableCrossAttention'),
    'Conditional': CONDITIONAL,
    'Conditional, gated by level': CONDITIONAL,
    'Gaussian over Dense': dict(type='mmparts.GaussianCrossAttention', base=DENSE),
    'Gaussian over Conditional': dict(type='mmparts.GaussianCrossAttention', base=CONDITIONAL),
}
ATSS = dict(
    type='ATSSHead',  # mmdet's
    stacked_convs=1,
    anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1),
)
PLAIN = dict(type='mmparts.Denoising', num=10, box_noise=0.4, contrastive=False)
CONTRASTIVE = dict(type='mmparts.Denoising', num=10)
ONE_TO_MANY = dict(type='mmparts.OneToMany', num=8, repeat=2)
COLLABORATIVE = dict(
    type='mmparts.Collaborative', finest_stride=16, heads=[dict(type='mmparts.AnchorCollaborator', head=ATSS)]
)
GROUPS = {
    'none': [],
    'Denoising, plain': [PLAIN],
    'Denoising, contrastive': [CONTRASTIVE],
    'OneToMany': [ONE_TO_MANY],
    'Collaborative': [COLLABORATIVE],
    'Denoising and OneToMany': [CONTRASTIVE, ONE_TO_MANY],
    'Denoising and Collaborative': [CONTRASTIVE, COLLABORATIVE],
    'OneToMany and Collaborative': [ONE_TO_MANY, COLLABORATIVE],
    'all three': [CONTRASTIVE, ONE_TO_MANY, COLLABORATIVE],
}
BACKBONE = dict(
    type='ResNet', depth=18, base_channels=8, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), norm_eval=True
)
HEAD = dict(
    type='mmparts.SetPredictionHead',
    terms=[dict(type=f'mmparts.{name}Term') for name in ('Focal', 'BoxL1', 'GIoU')],
    matcher=dict(
        type='mmparts.HungarianMatcher', costs=[dict(type=f'mmparts.{name}Cost') for name in ('Focal', 'BoxL1', 'GIoU')]
    ),
    select=dict(type='mmparts.TopKSelection'),
)
MASK_DINO = dict(
    backbone=dict(BACKBONE, out_indices=(1, 2)),
    neck=dict(type='mmparts.PixelMapper', norm_cfg=dict(type='GN', num_groups=8)),
    encoder=dict(type='mmparts.DeformablePixelDecoder', norm_cfg=dict(type='GN', num_groups=8)),
    head=dict(
        HEAD,
        type='mmparts.NormedHead',
        branches=dict(masks=dict(type='mmparts.MaskBranch', num_points=100)),
        terms=[*HEAD['terms'], dict(type='mmparts.PointTerm'), dict(type='mmparts.PointDiceTerm')],
        matcher=dict(HEAD['matcher'], type='mmparts.MaskMatcher'),
        select=dict(type='mmparts.TopKMasks'),
    ),
)


@dataclass
class Outcome:
    """What became of a combination.

    Args:
        refused: the reason why it was not built; empty where it was.
        problem: what went wrong with one that was built; empty where nothing did. Such a combination is a bug.
        difference: the largest one of the matching queries' logits and boxes, with and without the extra groups.
    """

    refused: str = ''
    problem: str = ''
    difference: float = 0.0


def every() -> Iterator[tuple[str, str, str]]:
    """Query source, cross-attention and group of each combination."""
    return product(QUERIES, CROSS_ATTENTION, GROUPS)


def try_out(queries: str, cross_attn: str, group: str) -> Outcome:
    """Build a combination, train it for a step, and hold its matching queries beside others against them alone."""
    torch.manual_seed(0)
    try:
        with DefaultScope.overwrite_default_scope('mmdet'):
            detector = MODELS.build(config(queries, cross_attn, group))
    except ValueError as error:
        return Outcome(refused=str(error))
    for parameter in detector.parameters():  # many start at zero, and what they do would not be seen
        parameter.data += 0.02 * torch.randn_like(parameter)

    sizes = dict(image_shapes=[(3, 64, 96), (3, 96, 64)], num_items=[3, 0])  # one image without objects
    data = demo_mm_inputs(2, **sizes, num_classes=SHARED['num_classes'], with_mask=True)
    data = detector.data_preprocessor(data, training=True)
    try:
        difference = compare(detector, **data)
        problem = train_step(detector, **data)
    except Exception as error:  # whatever it is: this is to find it
        return Outcome(problem=f'{type(error).__name__}: {error}')
    if not difference < TOLERANCE:
        problem = '; '.join(filter(None, [problem, f'extra groups change the matching queries by {difference:.1e}']))
    return Outcome(problem=problem, difference=difference)


def train_step(detector: nn.Module, inputs: Tensor, data_samples: list) -> str:
    """What is wrong after a step; empty: losses and gradients are finite, and every parameter has one."""
    losses = detector.train()(inputs, data_samples, mode='loss')
    wrong = [name for name, value in losses.items() if not value.isfinite().all()]
    if wrong:
        return f'not finite: {", ".join(wrong)}'
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    missed = [
        name for name, value in detector.named_parameters() if value.grad is None or not value.grad.isfinite().all()
    ]
    return f'no gradient, or none that is finite: {", ".join(missed)}' if missed else ''


@torch.no_grad()
def compare(detector: nn.Module, inputs: Tensor, data_samples: list) -> float:
    """Largest difference of logits and boxes of the matching queries, alone and beside the extra groups."""
    detector.eval()
    memory = detector.encode(inputs, data_samples)
    match, _ = detector.ask(memory, data_samples)
    groups = [match, *detector.extra(match, memory, Targets.from_samples(data_samples))]
    alone, beside = detector.decode([match], memory), detector.decode(groups, memory)
    return max((alone[name] - beside[name][:, :, : match.size]).abs().max().item() for name in ('logits', 'boxes'))


def config(queries: str, cross_attn: str, group: str) -> dict:
    """A small detector of the three, with what suits them:

    * encoder: sampled points for deformable attention, else dense. MaskQueries: Mask DINO's encoder, decoder and head.
    * self-attention and positions: DAB-DETR's for conditional attention; else dense, and positions from boxes where
      queries or a group bring none.
    * Gaussians: around predicted centres where the queries bring no references, else around theirs.
    * references: look forward twice where they are boxes, else stay.
    * collaborative queries bring positions of their own where the matching ones do.
    """
    source = build_part(QUERIES[queries], **SHARED)
    made = [dict(each, embed_boxes=source.brings_positions) if 'heads' in each else each for each in GROUPS[group]]
    derived = not source.brings_positions or 'Denoising' in group or group == 'all three'
    parts = dict(
        SHARED,
        type='mmparts.QueryDetector',
        data_preprocessor=dict(type='DetDataPreprocessor'),
        backbone=dict(BACKBONE, out_indices=(2,)),
        neck=dict(type='ChannelMapper', kernel_size=1),
        encoder=dict(type=f'mmparts.{"Deformable" if cross_attn == "Deformable" else "Dense"}Encoder'),
        queries=QUERIES[queries],
        groups=made,
        decoder=dict(
            type='mmparts.QueryDecoder',
            cross_attn=CROSS_ATTENTION[cross_attn],
            reference_update=dict(
                type='mmparts.LookForwardTwice' if source.coordinates == 4 else 'mmparts.FixedReference'
            ),
        ),
        head=HEAD,
    )
    if source.reads:
        parts.update(copy.deepcopy(MASK_DINO))
        parts['decoder'].update(type='mmparts.InitialPredictionDecoder')
    if 'gated' in cross_attn:
        parts['decoder'].update(type='mmparts.LevelGatedDecoder')
    if 'Conditional' in cross_attn:
        parts['decoder'].update(
            self_attn=dict(type='mmparts.ConditionalSelfAttention'), position=dict(type='mmparts.ConditionalPosition')
        )
    elif derived:
        parts['decoder'].update(position=dict(type='mmparts.BoxPosition'))
    if 'Gaussian' in cross_attn:
        parts['decoder'].update(spatial_prior=dict(type='mmparts.GaussianPrior', centre=not source.coordinates))
    parts['encoder'].update(num_layers=1, ffn_channels=64)
    parts['decoder'].update(num_layers=2, ffn_channels=64)
    return copy.deepcopy(parts)


def table(outcomes: dict[tuple[str, str, str], Outcome]) -> str:
    """Markdown: marks of all combinations, and below them the reasons of what is refused."""
    reasons = list(dict.fromkeys(each.refused for each in outcomes.values() if each.refused))
    rows = [f'| queries | cross-attention | {" | ".join(GROUPS)} |', '|---' * (2 + len(GROUPS)) + '|']
    for queries, cross_attn in product(QUERIES, CROSS_ATTENTION):
        marks = [mark(outcomes[queries, cross_attn, group], reasons) for group in GROUPS]
        rows.append(f'| {queries} | {cross_attn} | {" | ".join(marks)} |')
    return '\n'.join([*rows, '', *(f'{number}. {reason}' for number, reason in enumerate(reasons, start=1))])


def mark(outcome: Outcome, reasons: list[str]) -> str:
    """A tick, the number of the reason, or FAILS."""
    if outcome.refused:
        return str(1 + reasons.index(outcome.refused))
    return 'FAILS' if outcome.problem else '✓'
