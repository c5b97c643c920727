"""DETR, the four Deformable DETRs, and the main branches of H-DETR and Co-Deformable-DETR without their tricks, against
transformers: outputs of every layer, gradients, losses."""

import copy

import parity
import pytest
import torch
from parity import BOXES, LOGITS
from parity_transformers import BACKBONE, call, split_projections, their_config, transformers
from torch import Tensor, nn

DETR = 'detr_r50'
MAIN = dict(
    queries=dict(select_padding=True, mixed_selection=False),
    groups=[],
    decoder=dict(reference_update=dict(type='mmparts.IterativeRefinement')),
)
DEFORMABLE = {
    'deformable': ('deformable_detr_r50', {}),
    'single-scale': ('deformable_detr_singlescale_r50', {}),
    'refine': ('deformable_detr_refine_r50', {}),
    'two-stage': ('deformable_detr_refine_twostage_r50', dict(queries=dict(select_padding=True))),
    'h-detr': ('h_detr_r50', MAIN),
    'co-deformable': ('co_deformable_detr_r50', dict(neck=dict(bias=True), **MAIN)),
}

# Their names to ours, see parity.translate.
LAYERS = [
    (r'^model\.', ''),
    (r'encoder_attn_layer_norm', 'norm_cross'),
    (r'(encoder\.layers\.\d+\.)self_attn_layer_norm', r'\1norm_attn'),
    (r'(decoder\.layers\.\d+\.)self_attn_layer_norm', r'\1norm_self'),
    (r'final_layer_norm', 'norm_ffn'),
    (r'encoder_attn', 'cross_attn.attn'),
    (r'o_proj', 'out_proj'),
    (r'mlp\.fc1', 'ffn.0'),
    (r'mlp\.fc2', 'ffn.3'),
]
DETR_ENDS = [
    (r'^input_projection', 'neck.convs.0.conv'),
    (r'^query_position_embeddings', 'queries.pos'),
    (r'^decoder\.layernorm', 'decoder.norm'),
    (r'^class_labels_classifier', 'head.class_branches.0'),
    (r'^bbox_predictor', 'head.box_branches.0'),
]
DEFORMABLE_ENDS = [
    (r'^input_proj\.([0-2])\.0', r'neck.convs.\1.conv'),
    (r'^input_proj\.([0-2])\.1', r'neck.convs.\1.gn'),
    (r'^input_proj\.3\.0', 'neck.extra_convs.0.conv'),
    (r'^input_proj\.3\.1', 'neck.extra_convs.0.gn'),
    (r'^level_embed', 'encoder.level_embed'),
    (r'^query_position_embeddings', 'queries.pos_and_content'),
    (r'^reference_points', 'queries.point'),
    (r'^enc_output', 'queries.output'),
    (r'^pos_trans', 'queries.embed'),
]


def heads(ours: nn.Module) -> list:
    return [
        (r'^(decoder\.)?class_embed\.(\d+)', lambda found: parity.branch(ours, 'class', int(found[2]))),
        (r'^(decoder\.)?bbox_embed\.(\d+)', lambda found: parity.branch(ours, 'box', int(found[2]))),
    ]


def detr(width: str) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """Our model, theirs, and our weights under their names."""
    ours = parity.build(DETR, width)
    theirs = transformers.DetrForObjectDetection(their_config(transformers.DetrConfig, ours))
    rules = BACKBONE + LAYERS + DETR_ENDS
    weights = parity.translate(split_projections(parity.weights_of(ours)), theirs, rules)
    return ours, EveryLayer(theirs).eval(), {f'detr.{name}': tensor for name, tensor in weights.items()}


class EveryLayer(nn.Module):
    """Their DETR, answering and training with all decoder layers, as the official code does.

    Their own switch for it, ``auxiliary_loss``, is left off: it also hands each layer the *normed* output of the one
    before, which makes another model of it.
    """

    def __init__(self, detr: nn.Module):
        super().__init__()
        self.detr = detr

    def forward(self, labels: list[dict], **images):
        decoder, states = self.detr.model.decoder, []
        hooks = [layer.register_forward_hook(lambda layer, args, out: states.append(out)) for layer in decoder.layers]
        out = self.detr(**images)
        for hook in hooks:
            hook.remove()

        hidden = decoder.layernorm(torch.stack(states))
        logits, boxes = self.detr.class_labels_classifier(hidden), self.detr.bbox_predictor(hidden).sigmoid()
        config = copy.deepcopy(self.detr.config)
        config.auxiliary_loss = True
        out.loss, out.loss_dict, out.auxiliary_outputs = self.detr.loss_function(
            out.logits, labels, out.logits.device, out.pred_boxes, config, logits, boxes
        )
        return out


def deformable(case: str, width: str):
    """As :func:`detr`."""
    base, changes = DEFORMABLE[case]
    ours = parity.build(base, width, **changes)
    two_stage = hasattr(ours.queries, 'embed')
    # Their class cost is 1 by default, the paper's 2.
    theirs = transformers.DeformableDetrForObjectDetection(
        their_config(
            transformers.DeformableDetrConfig,
            ours,
            disable_custom_kernels=True,
            class_cost=2,
            auxiliary_loss=True,
            num_feature_levels=ours.cfg.num_levels,
            two_stage=two_stage,
            two_stage_num_proposals=ours.cfg.num_queries,
            with_box_refine=len(ours.head.class_branches) > 1,
        )
    )
    untie(theirs)

    weights = split_projections(parity.weights_of(ours))
    if not two_stage:
        halves = [weights.pop(f'queries.{half}.weight') for half in ('pos', 'content')]
        weights['queries.pos_and_content.weight'] = torch.cat(halves, dim=1)
    rules = BACKBONE + LAYERS + DEFORMABLE_ENDS + heads(ours)
    return ours, theirs.eval(), parity.translate(weights, theirs, rules)


def both(case: str, *args):
    return detr(*args) if case == 'detr' else deformable(case, *args)


def untie(theirs: nn.Module):
    """Give every layer heads of its own; theirs share the class head (refine), unlike the official code."""
    for name in ('class_embed', 'bbox_embed'):
        own = nn.ModuleList(copy.deepcopy(head) for head in getattr(theirs, name))
        setattr(theirs, name, own)
        if getattr(theirs.model.decoder, name) is not None:
            setattr(theirs.model.decoder, name, own)


@pytest.mark.parametrize('width', parity.WIDTHS)
@pytest.mark.parametrize('case', ['detr', *DEFORMABLE])
def test_outputs(case, width):
    """Logits and boxes of every decoder layer."""
    ours, theirs, weights = both(case, width)
    batch = parity.batch()

    found = ours(batch.images, batch.samples, mode='tensor')
    _, logits, boxes = call(theirs, weights, batch)

    parity.close('logits', found['logits'], logits, LOGITS)
    parity.close('boxes', found['boxes'], boxes, BOXES)


@pytest.mark.parametrize('case', ['detr', *DEFORMABLE])
def test_gradients(case):
    """What reaches every weight from the outputs of all layers: references are cut from the graph where theirs are."""
    with parity.double_precision():
        ours, theirs, weights = both(case, 'small')
        batch = parity.batch()

        found = ours(batch.images, batch.samples, mode='tensor')
        _, logits, boxes = call(theirs, weights, batch)

        parity.close_gradients(ours, [found['logits'], found['boxes']], [logits, boxes])


@pytest.mark.parametrize('width', parity.WIDTHS)
def test_proposals(width):
    """The encoder's class and box of every token, unusable ones included."""
    ours, theirs, weights = deformable('two-stage', width)
    batch = parity.batch()

    ours.queries.train()  # gives all proposals, not only the chosen ones
    _, proposals = ours.queries(ours.encode(batch.images, batch.samples), ours.head)
    out, _, _ = call(theirs, weights, batch)

    parity.close('proposal logits', proposals.logits, out.enc_outputs_class, LOGITS)
    parity.close('proposal boxes', proposals.boxes, out.enc_outputs_coord_logits.sigmoid(), BOXES)


@pytest.mark.parametrize('counts', [(3, 5), (4, 0), (0, 0)], ids=str)
@pytest.mark.parametrize('case', ['detr', *DEFORMABLE])
def test_losses(case, counts):
    """Every term of every layer. Theirs are not weighted yet; they have none for the encoder's proposals."""
    ours, theirs, weights = both(case, 'small')
    batch = parity.batch(counts)
    terms = dict(
        loss_ce=('loss_cls', 1 if case == 'detr' else 2), loss_bbox=('loss_bbox', 5), loss_giou=('loss_iou', 2)
    )

    found = ours(batch.images, batch.samples, mode='loss')
    out, _, _ = call(theirs, weights, batch)

    expected = {}
    for key, value in out.loss_dict.items():
        term, _, layer = key.removeprefix('loss_').partition('_')
        if f'loss_{term}' in terms:
            name, weight = terms[f'loss_{term}']
            expected[f'd{layer}.{name}' if layer else name] = weight * value
    parity.close_losses({name: value for name, value in found.items() if not name.startswith('enc_')}, expected)
    if case == 'detr':  # their total of the Deformable models weighs the class term 1, the paper 2
        parity.close_losses(dict(total=sum(found.values())), dict(total=out.loss))
