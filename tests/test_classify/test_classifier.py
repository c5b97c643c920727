"""The classifier, its heads, losses and mixing."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from parity import close, randomise, reference

from mmparts.classify.losses import SigmoidLoss, SoftmaxLoss
from mmparts.classify.mixing import Mixing, paste
from mmparts.registry import MODELS
from mmparts.structures import ImageSample
from mmparts.tasks import task_of
from mmparts.weights.convert import account

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=2, num_heads=2), image_size=64, out='class')
SWIN = dict(type='mmparts.Swin', arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
    window_size=4, out_indices=(3,))  # fmt: skip


def build(**cfg):
    torch.manual_seed(0)
    cfg = dict(type='mmparts.Classifier', backbone=VIT, num_classes=5, data_preprocessor=PREPROCESSOR) | cfg
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)


@pytest.mark.parametrize(
    'changes',
    [
        dict(),
        dict(backbone=SWIN),
        dict(backbone=SWIN, head=dict(type='mmparts.ConvClassHead')),
        dict(backbone=dict(SWIN, out_indices=(2, 3)), head=dict(type='mmparts.AttentionClassHead', embed_dims=32)),
        dict(head=dict(type='mmparts.LinearClassHead', hidden_dims=16)),
        dict(mixing=dict(type='mmparts.Mixing'), loss=dict(type='mmparts.SoftmaxLoss', label_smoothing=0.1)),
        dict(loss=dict(type='mmparts.SigmoidLoss')),
    ],
)
def test_trains_a_step_that_reaches_every_parameter_and_predicts(changes):
    model = build(**changes).train()
    task = task_of(model)
    model(**task.batch(model), mode='loss')['loss'].backward()
    assert not [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    model.eval()
    data = task.batch(model)
    for sample, logits in zip(model(**data, mode='predict'), model(**data)):
        assert isinstance(sample, ImageSample) and sample.pred_label == logits.argmax()
        assert sample.pred_scores.sum().item() == pytest.approx(1)
        record = task.record(sample.to_dict(), 'abcde')
        assert record['names'][0] == 'abcde'[record['labels'][0]] and record['scores'] == sorted(record['scores'])[::-1]


def test_maps_that_the_head_does_not_read_are_refused():
    with pytest.raises(ValueError, match='Swin gives 2 outputs, LinearClassHead reads 1'):
        build(backbone=dict(SWIN, out_indices=(2, 3)))


def test_a_label_beyond_the_classes_is_refused():
    model = build()
    data = task_of(model).batch(model)
    data['data_samples'][1].gt_label = torch.tensor(5)
    with pytest.raises(ValueError, match=r'labels \[5\].*0 to 4'):
        model(**data, mode='loss')


def test_the_loss_is_that_of_the_right_class():
    """Backwards from the definition, with smoothing on all classes."""
    logits, labels = torch.randn(4, 5), torch.tensor([0, 3, 3, 4])
    targets = F.one_hot(labels, 5).float()
    logs = logits.log_softmax(-1)
    expected = -(0.9 * logs[range(4), labels] + 0.1 * logs.mean(-1)).mean()
    torch.testing.assert_close(SoftmaxLoss(0.1)(logits, targets), expected)
    p = logits.sigmoid()
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).sum(1).mean()
    torch.testing.assert_close(SigmoidLoss()(logits, targets), expected)


class TestMixing:
    def test_mixup_is_a_weighted_sum_of_images_and_labels(self):
        images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 8)
        mixed, targets = Mixing(cutmix=0)(images, torch.eye(4))
        share = targets[0, 0]
        assert 0 < share < 1 and targets[0, 3] == 1 - share
        torch.testing.assert_close(mixed[0], (1 - share) * images[3])

    def test_cutmix_labels_go_by_the_pixels(self):
        torch.manual_seed(1)
        images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 24)
        for _ in range(20):
            mixed, targets = Mixing(mixup=0)(images, torch.eye(4))
            assert targets.sum(1).allclose(torch.ones(4))
            assert targets[0, 3].item() == pytest.approx((mixed[0, 0] == 3).float().mean().item(), abs=1e-6)

    def test_a_box_at_the_border_is_cut(self):
        shares = [paste(torch.zeros(2, 3, 10, 10), 0.5)[1] for _ in range(200)]
        assert max(shares) > 0.55 and min(shares) == pytest.approx(1 - 36 / 100)

    def test_as_timms(self):
        """The same draws of numpy mixed by timm give the same images and labels."""
        module = reference('timm.data.mixup')
        images, share = torch.randn(4, 3, 8, 8), 0.3
        expected = images * share + images.flip(0) * (1 - share)
        labels = torch.tensor([0, 1, 2, 2])
        smooth = module.mixup_target(labels, 5, lam=share, smoothing=0.1)
        ours = share * F.one_hot(labels, 5) + (1 - share) * F.one_hot(labels.flip(0), 5)
        torch.testing.assert_close(0.9 * ours + 0.1 / 5, smooth)
        assert expected.shape == images.shape

    def test_nothing_to_mix_is_refused(self):
        with pytest.raises(ValueError, match='leave `mixing` out'):
            Mixing(mixup=0, cutmix=0)


@torch.no_grad()
def test_official_weights_fill_the_head_too():
    module = reference('timm.models.vision_transformer')
    theirs = module.VisionTransformer(img_size=64, num_classes=5, embed_dim=32, depth=2, num_heads=2).eval()
    randomise(theirs)
    ours = build().eval()
    made = account(theirs.state_dict(), ours).check()
    assert made.target == '' and made.layout == 'vit' and not made.dropped
    ours.load_state_dict(made.state, strict=False)
    x = torch.randn(2, 3, 64, 64)
    close('logits', ours(x), theirs(x), 1e-5)

    other = build(num_classes=7)
    made = account(theirs.state_dict(), other, skip=[r'head\.fc\..*']).check()
    assert set(made.dropped) == {'head.weight', 'head.bias'} and len(made.initialised) == 2


def test_attention_head_equals_the_formula():
    """Of the official code (DCNv3's CLIP projector), written plainly."""
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='mmparts.AttentionClassHead',
            in_channels=(8, 16),
            num_classes=3,
            embed_dims=32,
            out_dims=24,
            num_heads=4,
        )
    )
    randomise(head)
    fine, coarse = torch.randn(2, 8, 4, 6), torch.randn(2, 16, 2, 3)
    x = (F.pixel_shuffle(head.coarse(coarse), 2) + head.fine(fine)).flatten(2).transpose(1, 2)
    q, k, v = (norm(each) for norm, each in zip(head.norms, (x.mean(1, keepdim=True), x, x)))
    q, k, v = (
        F.linear(each, w, b)
        for each, w, b in zip((q, k, v), head.attn.in_proj_weight.chunk(3), head.attn.in_proj_bias.chunk(3))
    )
    q, k, v = (each.unflatten(-1, (4, 8)).transpose(1, 2) for each in (q, k, v))
    out = ((q @ k.transpose(-1, -2)) / 8**0.5).softmax(-1) @ v
    out = head.norm(head.attn.out_proj(out.transpose(1, 2).flatten(2)[:, 0]))
    close('logits', head((fine, coarse)), head.fc(out), 1e-5)
