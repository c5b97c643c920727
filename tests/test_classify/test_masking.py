"""Pre-training by masked patches: what is masked, what is asked for, and that fine-tuning takes the result."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmparts.classify.patch_colours import PatchColours
from mmparts.classify.simmim import SimMIM, neighbours
from mmparts.registry import MODELS
from mmparts.tasks import task_of

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=2, num_heads=2), image_size=64)
SWIN = dict(
    type='mmparts.Swin', arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)), window_size=4,
    out_indices=(3,),
)  # fmt: skip
COLOURS, PIXELS = dict(type='mmparts.PatchColours'), dict(type='mmparts.SimMIM')
PREPROCESSOR = dict(type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def build(backbone, objective):
    torch.manual_seed(0)
    cfg = dict(type='mmparts.MaskedPretrainer', backbone=backbone, objective=objective, data_preprocessor=PREPROCESSOR)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


def colours(**kwargs) -> PatchColours:
    return PatchColours(embed_dims=8, channels=8, patch_stride=16, stride=16, **kwargs)


@pytest.mark.parametrize(
    ('backbone', 'objective'),
    [(VIT, COLOURS), (VIT, dict(COLOURS, cells=4)), (VIT, PIXELS), (SWIN, dict(PIXELS, norm_window=47))],
)
def test_trains_a_step_that_reaches_every_parameter_and_paints(backbone, objective):
    model = build(backbone, objective).train()
    task = task_of(model)
    model(**task.batch(model), mode='loss')['loss'].backward()
    assert not [name for name, each in model.named_parameters() if each.grad is None]
    with torch.no_grad():
        (first, _) = model.eval()(**task.batch(model), mode='predict')
    assert first.pred_image.shape == (3, 64, 96) and first.pred_image.dtype == torch.uint8


class TestPatchColours:
    @pytest.mark.parametrize(
        ('colour', 'label'),
        [((1, 1, 1), 511), ((0, 0, 0), 0), ((0.5, 0, 0), 256), ((0, 0.124, 0.126), 1), ((0, 0.125, 1), 15)],
    )
    def test_bins(self, colour, label):
        pixels = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 32, 16)
        assert colours().labels(pixels).flatten().tolist() == [label] * 2

    def test_bins_survive_normalisation(self):
        """Each multiple of an eighth, through the preprocessor and back."""
        model = build(VIT, COLOURS)
        values = torch.arange(8) * 255 / 8
        images = values.view(8, 1, 1, 1).expand(8, 3, 64, 64)
        data = model.data_preprocessor(dict(inputs=images.clone(), data_samples=None))
        labels = model.objective.labels(model.pixels(data['inputs']))
        assert (labels.flatten(1) == (torch.arange(8) * 73)[:, None]).all()

    def test_cells_are_sixteenths_of_a_patch(self):
        pixels = torch.zeros(1, 3, 16, 16)
        pixels[..., :4, 4:8] = 1
        assert colours(cells=4).labels(pixels).flatten().tolist() == [0, 511] + [0] * 14

    def test_half_of_each_image_is_asked_for_and_the_shares_are_the_papers(self):
        torch.manual_seed(0)
        objective = colours()
        objective.mask_embedding.data.fill_(-1)
        patches = torch.arange(64 * 14 * 14.0).view(64, 14, 14, 1).expand(64, 14, 14, 8)
        made, asked = objective.corrupt(patches)
        assert (asked.flatten(1).sum(1) == 98).all()
        assert made[~asked].equal(patches[~asked])
        masked, kept = (made[asked] == -1).all(-1), (made[asked] == patches[asked]).all(-1)
        swapped = ~masked & ~kept
        assert masked.float().mean().item() == pytest.approx(0.8, abs=0.02)
        assert kept.float().mean().item() == pytest.approx(0.1, abs=0.01)
        others = made[asked][swapped][:, 0].long() // 196  # images that other patches come from
        assert len(others.unique()) == 64 and (made[asked][swapped] == made[asked][swapped][:, :1]).all()

    def test_a_backbone_of_coarser_maps_is_refused(self):
        with pytest.raises(ValueError, match='stride 32 has no place for each patch of 4'):
            build(SWIN, COLOURS)

    def test_positions_of_the_place_are_added_to_another_patch(self):
        """The embeddings are replaced before positions are added."""
        model = build(VIT, dict(COLOURS, ratio=1.0, mask_share=1.0, random_share=0.0))
        seen = []
        model.backbone.blocks.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
        model(torch.randn(1, 3, 64, 64))
        backbone = model.backbone
        expected = model.objective.mask_embedding + backbone.position((4, 4)).flatten(0, 1)
        torch.testing.assert_close(seen[0][0, 1:], expected)
        torch.testing.assert_close(seen[0][0, 0], backbone.class_token + backbone.class_position)


class TestSimMIM:
    def objective(self, **kwargs):
        return SimMIM(embed_dims=8, channels=8, patch_stride=4, stride=32, **kwargs)

    def test_squares(self):
        objective = self.objective()
        objective.mask_token.data.fill_(-1)
        made, mask = objective.corrupt(torch.zeros(3, 48, 48, 8))
        squares = mask.unflatten(1, (6, 8)).unflatten(3, (6, 8)).permute(0, 1, 3, 2, 4).flatten(3)
        assert (squares.all(-1) == squares.any(-1)).all(), 'whole squares of 8 x 8 patches'
        assert (squares[..., 0].flatten(1).sum(1) == 22).all()
        assert ((made == -1).all(-1) == mask).all()

    def test_the_target_is_normed_by_neighbours_within_the_image(self):
        torch.manual_seed(0)
        images = torch.rand(1, 3, 12, 9)
        mean, deviation = neighbours(images, 7)
        for y, x in ((0, 0), (5, 4), (11, 8), (2, 7)):
            near = images[0, :, max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].flatten(1)
            torch.testing.assert_close(mean[0, :, y, x], near.mean(1))
            torch.testing.assert_close(deviation[0, :, y, x], (near.var(1) + 1e-6).sqrt(), atol=1e-4, rtol=1e-4)

    def test_the_loss_counts_masked_pixels_alone(self):
        objective = self.objective()
        features, pixels = torch.randn(1, 8, 2, 2), torch.rand(1, 3, 64, 64)
        asked = torch.zeros(1, 16, 16, dtype=torch.bool)
        asked[:, :8, 8:] = True
        error = (objective.decoder(features) - objective.target(pixels)).abs()[..., :32, 32:]
        torch.testing.assert_close(objective.loss(features, pixels, asked)['loss'], error.mean(), atol=1e-5, rtol=1e-5)

    def test_sizes_that_squares_do_not_divide_are_refused(self):
        with pytest.raises(ValueError, match='image 64x80 is no multiple of 32.*64x96'):
            build(VIT, PIXELS)(torch.zeros(1, 3, 64, 80))


def test_fine_tuning_takes_the_backbone():
    """As load_from does, with objective and head left out."""
    trained = build(VIT, COLOURS)
    cfg = dict(type='mmparts.Classifier', backbone=dict(VIT, out='class'), num_classes=3)
    with DefaultScope.overwrite_default_scope('mmdet'):
        classifier = MODELS.build(cfg)
    state = {name: each for name, each in trained.state_dict().items() if not name.startswith('objective.')}
    missing, unexpected = classifier.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) == {'head.fc.weight', 'head.fc.bias'}


@pytest.mark.parametrize(
    ('backbone', 'words'),
    [
        (dict(type='ResNet', depth=18, base_channels=8), 'ResNet has no `patch_embed`'),
        (dict(VIT, out='class'), "out='map'"),
    ],
)
def test_backbones_that_do_not_go_are_refused(backbone, words):
    with pytest.raises(ValueError, match=words):
        build(backbone, COLOURS)
