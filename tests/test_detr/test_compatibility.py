"""Parts that do not go together are refused when the detector is built, naming both; a part that says nothing of
itself is not asked."""

import pytest
import torch
from tiny import base, build
from torch import nn

from mmparts.detr.decoder import join_references
from mmparts.detr.roles import QuerySource
from mmparts.detr.structures import QueryGroup

DENOISING = dict(type='mmparts.Denoising', num=10)
ONE_TO_MANY = dict(type='mmparts.OneToMany', num=10)
LEARNED, TOP_K = dict(type='mmparts.LearnedQueries'), dict(type='mmparts.TopKQueries')
MIXED = dict(TOP_K, mixed_selection=True, embed_boxes=False)
DERIVED = dict(position=dict(type='mmparts.BoxPosition'))
DENSE = dict(type='mmparts.DenseCrossAttention')
SOFTMAX = [dict(type='mmparts.SoftmaxTerm')]
HEAD = base('dino_r50').head
CO_GROUPS = base('co_dino_r50').groups
COLLABORATIVE = dict(CO_GROUPS[1], heads=2 * [head for head in CO_GROUPS[1].heads if 'Anchor' in head.type])


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        # names
        (
            'dino_r50',
            dict(groups=[DENOISING, dict(DENOISING, box_noise=0.4)]),
            "Denoising makes a query group named 'dn', as the queries of Denoising are named, .* as name='dn2'",
        ),
        (
            'dino_r50',
            dict(groups=[dict(DENOISING, name='enc')]),
            "Denoising makes a query group named 'enc', as the encoder's proposals are named, and would share their",
        ),
        (
            'dino_r50',
            dict(groups=[dict(ONE_TO_MANY, name='match')]),
            "OneToMany .*'match', as the matching queries are",
        ),
        (
            'co_dino_r50',
            dict(groups=[COLLABORATIVE]),
            "Collaborative .*'atss', as the queries of Collaborative are named",
        ),
        (
            'co_dino_r50',
            dict(groups=[dict(DENOISING, name='rcnn'), *CO_GROUPS]),
            "'rcnn', as the queries of Denoising are",
        ),
        # references
        ('detr_r50', dict(groups=[DENOISING]), 'Denoising makes boxes, LearnedQueries brings no references.* Anchor'),
        (
            'deformable_detr_r50',
            dict(groups=[DENOISING], decoder=DERIVED),
            'Denoising makes boxes, PointQueries .*points',
        ),
        (
            'deformable_detr_r50',
            dict(queries=LEARNED),
            'DeformableCrossAttention needs references .*, LearnedQueries brings none; take .*PointQueries.*DenseCross',
        ),
        (
            'smca_detr_r50',
            dict(queries=dict(type='mmparts.PointQueries')),
            r'PointQueries brings points; write GaussianPrior\(centre=False\), got centre=True',
        ),
        (
            'smca_detr_r50',
            dict(decoder=dict(spatial_prior=dict(centre=False))),
            r'LearnedQueries brings no references; write GaussianPrior\(centre=True\), got centre=False',
        ),
        # positions
        (
            'deformable_detr_refine_twostage_r50',
            dict(groups=[DENOISING]),
            r"Denoising brings no positions.*position=dict\(type='mmparts.BoxPosition'\)",
        ),
        (
            'dab_detr_r50',
            dict(decoder=dict(position=None)),
            r"AnchorQueries brings no positions.*position=dict\(type='mmparts.ConditionalPosition'\)",
        ),
        ('dab_detr_r50', dict(decoder=DERIVED), 'ConditionalCrossAttention takes 2 times .* BoxPosition derives 1'),
        (
            'dab_detr_r50',
            dict(queries=TOP_K),
            'ConditionalCrossAttention takes 2 .*; TopKQueries brings positions of its',
        ),
        (
            'dab_detr_r50',
            dict(decoder=dict(cross_attn=DENSE)),
            "got {'ConditionalSelfAttention': 2, 'DenseCrossAttention': 1} times embed_dims.* are no pair",
        ),
        (
            'deformable_detr_r50',
            dict(decoder=DERIVED),
            'BoxPosition derives .* PointQueries brings them: .*never be used',
        ),
        (
            'dino_r50',
            dict(queries=dict(embed_boxes=True), groups=[ONE_TO_MANY]),
            'BoxPosition derives .* TopKQueries, OneToMany bring them',
        ),
        # indicator
        (
            'dn_detr_r50',
            dict(queries=dict(indicator=False)),
            r'Denoising\(indicator=True\) beside AnchorQueries, in which the last channel is not kept',
        ),
        (
            'dn_detr_r50',
            dict(groups=[DENOISING]),
            r'Denoising\(indicator=False\) beside AnchorQueries, .* channel is kept',
        ),
        ('dino_r50', dict(groups=[dict(DENOISING, indicator=True)]), r'Denoising\(indicator=True\) beside TopKQueries'),
        # masks
        (
            'mask_dino_r50',
            dict(head=dict(_delete_=True, **HEAD)),
            'MaskQueries reads kernels of the tokens, which SetPredictionHead does not predict; take .*MaskBranch',
        ),
        (
            'mask_dino_r50',
            dict(encoder=dict(type='mmparts.DeformableEncoder')),
            'MaskBranch makes masks of memory.pixels, which DeformableEncoder does not give; take PixelMapper',
        ),
        (
            'dino_r50',
            dict(encoder=dict(type='mmparts.DeformablePixelDecoder')),
            'ChannelMapper gives 0 maps for memory.pixels, DeformablePixelDecoder makes it; PixelMapper and',
        ),
        ('cell_detr_a', dict(encoder=dict(type='mmparts.DenseEncoder')), 'CellMaskBranch makes masks of memory.skips'),
        (
            'cell_detr_a',
            dict(queries=dict(type='mmparts.AnchorQueries'), groups=[DENOISING], decoder=DERIVED),
            'masks of CellMaskBranch compete with each other, so Denoising does not go with it; take AttentionMask',
        ),
        # number of queries
        (
            'cell_detr_a',
            dict(queries=dict(type='mmparts.AnchorQueries', num_patterns=3), decoder=DERIVED),
            r'AnchorQueries\(num_patterns=3\) asks every query 3 times, CellMaskBranch takes num_queries=20 of them',
        ),
        (
            'up_detr_pretrain_r50',
            dict(queries=dict(type='mmparts.AnchorQueries', num_patterns=3), decoder=DERIVED),
            r'AnchorQueries\(num_patterns=3\) asks every query 3 times, PatchPrompt takes num_queries=20',
        ),
        # what the head predicts
        (
            'dino_r50',
            dict(head=dict(matcher=dict(type='mmparts.MaskMatcher'))),
            'MaskMatcher reads kernels, which SetPredictionHead does not predict; take EllipseMaskBranch or MaskBranch',
        ),
        (
            'mask_dino_r50',
            dict(head=dict(terms=[dict(type='mmparts.AreaDiceTerm')])),
            'AreaDiceTerm reads maps, which NormedHead does not predict; take AttentionMaskBranch or CellMaskBranch',
        ),
        (
            'mask_dino_r50',
            dict(queries=dict(_delete_=True, **MIXED)),
            'reads kernels, also of what TopKQueries proposes, where there is none; take .*MaskQueries',
        ),
        (
            'dino_r50',
            dict(
                head=dict(
                    branches=dict(embeddings=dict(type='mmparts.EmbeddingBranch', descriptor_dims=8)),
                    terms=[dict(type='mmparts.ReconstructionTerm')],
                )
            ),
            'ReconstructionTerm reads embeddings, also of what TopKQueries proposes, .* take .*LearnedQueries',
        ),
        (
            'detr_r50',
            dict(head=dict(terms=[dict(type='mmparts.ReconstructionTerm')])),
            'ReconstructionTerm reads embeddings, .* take EmbeddingBranch',
        ),
        ('detr_r50', dict(head=dict(select=dict(type='mmparts.TopKMasks', no_object=True))), 'TopKMasks reads masks'),
        (
            'mask_dino_r50',
            dict(head=dict(select=dict(type='mmparts.TopKSelection'))),
            'TopKSelection selects boxes alone, NormedHead predicts masks; take TopKMasks',
        ),
        # classes
        ('detr_r50', dict(head=dict(no_object=False)), r'SoftmaxTerm is for .*, SetPredictionHead\(no_object=False'),
        ('dino_r50', dict(head=dict(terms=SOFTMAX)), 'SoftmaxTerm is for classes that compete'),
        ('detr_r50', dict(head=dict(matcher=dict(costs=[dict(type='mmparts.FocalCost')]))), 'FocalCost is for'),
        ('detr_r50', dict(head=dict(select=dict(type='mmparts.TopKSelection'))), 'TopKSelection is for'),
        ('detr_r50', dict(queries=TOP_K), 'TopKQueries is for classes each on its own'),
    ],
)
def test_both_sides_are_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        build(base(name, **changes))


def test_gaussians_over_sampled_points_are_refused():
    attention = dict(base=dict(type='mmparts.DeformableCrossAttention'))
    with pytest.raises(ValueError, match='DeformableCrossAttention has no method `project`.* take DenseCrossAttention'):
        build(base('smca_detr_r50', decoder=dict(cross_attn=attention)))


def test_groups_of_one_class_are_told_apart():
    """Whichever comes first: only one of them brings positions."""
    own, derived = (
        dict(type='mmparts.Collaborative', embed_boxes=embed, heads=[head])
        for embed, head in zip((True, False), CO_GROUPS[1].heads)
    )
    for groups in ([own, derived], [derived, own]):
        with pytest.raises(ValueError, match='Collaborative brings no positions'):
            build(base('deformable_detr_refine_twostage_r50', groups=groups))


class OwnQueries(QuerySource):
    """A user's queries, which say nothing of themselves."""

    def __init__(self, embed_dims: int):
        super().__init__()
        self.embed = nn.Parameter(torch.randn(1, 5, embed_dims))

    def forward(self, memory, head):
        content = self.embed.expand(len(memory.tokens), -1, -1)
        return QueryGroup('match', content, torch.full((*content.shape[:2], 4), 0.5), content), None


@pytest.mark.parametrize('name', ['detr_r50', 'deformable_detr_r50'])
def test_parts_that_say_nothing_are_not_asked(name):
    model = build(base(name, queries=dict(_delete_=True, type=OwnQueries))).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, 64, 64), mode='tensor')['boxes'].shape[1:] == (2, 5, 4)


def test_those_that_turn_out_not_to_fit_are_refused_in_the_step():
    content = torch.zeros(1, 2, 8)
    groups = [QueryGroup('match', content), QueryGroup('own', content, torch.zeros(1, 2, 4))]
    with pytest.raises(ValueError, match="disagree on their references.*'match': None, 'own': 4"):
        join_references(groups)


@pytest.mark.parametrize(
    'settings', [dict(train_cfg=dict(assigner=dict(type='HungarianAssigner'))), dict(test_cfg=dict(max_per_img=100))]
)
@pytest.mark.parametrize('kind', ['mmparts.QueryDetector', 'mmparts.PretextDetector'])
def test_settings_that_nobody_reads_are_refused(kind, settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf'Detector reads no {name}, got .*{list(value)[0]}.*model.head.select'):
        build(base('detr_r50', type=kind, **settings))


@pytest.mark.parametrize('empty', [None, {}])
def test_empty_settings_are_none(empty):
    build(base('detr_r50', train_cfg=empty, test_cfg=empty))
