"""Parts of different papers in one detector: they train, and extra queries change nothing for the matching ones."""

import pytest
import tiny
import torch
from mmengine.config import Config

COMBINED = tiny.CONFIGS / 'combined'


def test_a_dab_detr_is_pre_trained_on_patches():
    cfg = tiny.tiny(Config.fromfile(COMBINED / 'up-dab-detr-pretrain_small_1xb8-9e_shapes.py'))
    cfg.prompt.num_patches = 5
    model = tiny.build(cfg).train()
    data = tiny.batch(model, counts=(5, 5))
    for sample in data['data_samples']:
        sample.gt_instances.patches = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
    losses = model(**data, mode='loss')
    assert losses['loss_recon'] > 0
    tiny.total(losses).backward()
    assert not tiny.without_gradient(model)


def test_embeddings_meet_masks():
    """Of matched, denoised and proposed queries, and each trains its own branch alone."""
    cfg = tiny.tiny(Config.fromfile(COMBINED / 'up-mask-dino_small_1xb8-9e_shapes-instance.py'))
    model = tiny.build(cfg).train()
    losses = model(**tiny.batch(model, counts=(3, 2)), mode='loss')
    for group in ('', 'dn_', 'enc_'):
        assert losses[f'{group}loss_recon'] > 0 and losses[f'{group}loss_mask'] > 0
    losses['loss_recon'].backward()
    assert model.head.embedding_branch.layers[0].weight.grad.any()
    assert model.head.mask_branch.layers[0].weight.grad is None
    with torch.no_grad():
        results = model.eval()(**tiny.batch(model), mode='predict')
    assert all(len(each.pred_instances.masks) == 100 for each in results)


@pytest.mark.parametrize('name', ['co-dino-one2many_small_1xb8-9e_shapes', 'dn-dab-detr-gaussian_small_1xb8-9e_shapes'])
def test_extra_groups_leave_the_matching_queries_alone(name):
    """The loss of the matching queries is the same number with all groups and with none."""
    cfg = tiny.tiny(Config.fromfile(COMBINED / f'{name}.py'))
    model = tiny.build(cfg).eval()
    data = tiny.batch(model)
    with torch.no_grad():
        together = model(**data, mode='loss')
        model.groups = torch.nn.ModuleList()
        alone = model(**data, mode='loss')
    assert {'loss_cls', 'loss_bbox', 'loss_iou'} <= alone.keys() < together.keys()
    for term in alone:
        torch.testing.assert_close(together[term], alone[term], rtol=1e-5, atol=1e-6)


def test_a_prior_that_no_attention_takes_is_refused():
    cfg = tiny.tiny(Config.fromfile(COMBINED / 'dn-dab-detr-gaussian_small_1xb8-9e_shapes.py'))
    cfg.decoder.cross_attn = dict(type='mmparts.ConditionalCrossAttention')
    with pytest.raises(ValueError, match='ConditionalCrossAttention and spatial_prior=.* do not go together'):
        tiny.build(cfg)
