"""Models around a Perceiver: flow in tiles, masked bytes, auto-encoding, sets, permuted pixels."""

import pytest
import torch
from mmengine.registry import DefaultScope
from parity import randomise
from torch import nn

from mmparts.perceiver.flow import starts, tile_weight
from mmparts.perceiver.model import PadPreprocessor, StackPreprocessor
from mmparts.registry import MODELS
from mmparts.structures import ClipSample, FlowSample, SetSample, TextSample

ENCODER = dict(type='mmparts.LatentEncoder', num_latents=6, embed_dims=16, num_blocks=1, num_layers=2, num_heads=2)


def build(**cfg) -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg)
    randomise(model)
    return model.eval()


def fourier(*size, bands=3, **changes) -> dict:
    return dict(type='mmparts.FourierPosition', num_bands=bands, max_resolution=size, **changes)


class TestFlow:
    def build(self, **changes):
        backbone = dict(
            type='mmparts.Perceiver',
            inputs=dict(
                type='mmparts.MapInput',
                features=dict(type='mmparts.FramePatches', embed_dims=8),
                position=fourier(12, 16),
            ),
            encoder=ENCODER,
            queries=dict(type='mmparts.InputQueries'),
            decoder=dict(type='mmparts.LatentDecoder', out_dims=2),
        )
        return build(**dict(dict(type='mmparts.FlowEstimator', backbone=backbone, tile=(12, 16), overlap=4), **changes))

    def test_tiles_cover_the_image_and_the_last_ends_with_it(self):
        assert starts(12, 12, 4) == [0]
        assert starts(13, 12, 4) == [0, 1]
        assert starts(40, 12, 4) == [0, 8, 16, 24, 28]
        weight = tile_weight((4, 6))
        assert weight.tolist() == [[1] * 6, [1, 2, 2, 2, 2, 1], [1, 2, 2, 2, 2, 1], [1] * 6]

    def test_a_tile_is_predicted_as_it_is(self):
        model, frames = self.build(), torch.randn(2, 3, 2, 12, 16)
        (first, second) = model.predict(frames)
        torch.testing.assert_close(torch.stack([first.pred_flow, second.pred_flow]), model(frames))

    def test_overlapping_tiles_are_a_weighted_mean(self):
        """By hand, at one pixel that two tiles see."""
        model, frames = self.build(), torch.randn(1, 3, 2, 12, 20)
        (sample,) = model.predict(frames)
        left, right = model(frames[..., :16])[0], model(frames[..., 4:])[0]
        row, column = 5, 9
        weights = [min(row + 1, 12 - row, column + 1, 16 - column), min(row + 1, 12 - row, column - 3, 20 - column)]
        expected = (weights[0] * left[:, row, column] + weights[1] * right[:, row, column - 4]) / sum(weights)
        torch.testing.assert_close(sample.pred_flow[:, row, column], expected)

    def test_only_known_pixels_count(self):
        model, frames = self.build(), torch.randn(1, 3, 2, 12, 16)
        sample = FlowSample(gt_flow=torch.zeros(2, 12, 16), gt_valid=torch.zeros(12, 16, dtype=torch.bool))
        assert model.loss(frames, [sample])['loss'] == 0
        sample.gt_valid[3, 4] = True
        expected = model(frames)[0, :, 3, 4].norm()
        torch.testing.assert_close(model.loss(frames, [sample])['epe'], expected.detach())

    def test_small_frames_and_other_outputs_are_refused(self):
        with pytest.raises(ValueError, match='frames of 12x15, smaller than the tiles of 12x16'):
            self.build().predict(torch.zeros(1, 3, 2, 12, 15))
        with pytest.raises(ValueError, match='3 frames; this FramePatches was built with num_frames=2'):
            self.build()(torch.zeros(1, 3, 3, 12, 16))
        with pytest.raises(ValueError, match='overlap=12 must be less'):
            self.build(overlap=12)
        with pytest.raises(ValueError, match='the decoder gives 5 channels, flow has 2'):
            cfg = dict(type='mmparts.Perceiver', inputs=dict(type='mmparts.MapInput'), encoder=ENCODER)
            read = dict(type='mmparts.LatentDecoder', out_dims=5)
            self.build(backbone=dict(cfg, decoder=read, queries=dict(type='mmparts.InputQueries')))
        with pytest.raises(TypeError, match='must be an mmparts.Perceiver'):
            self.build(backbone=dict(type='mmparts.ViT', arch=dict(embed_dims=16, num_layers=1, num_heads=2)))


class TestMaskedBytes:
    def build(self, inputs=None, **changes):
        backbone = dict(
            type='mmparts.Perceiver',
            inputs=inputs or dict(type='mmparts.BytesInput', embed_dims=12, max_length=9),
            encoder=ENCODER,
            queries=dict(type='mmparts.VectorQueries', num_queries=9, embed_dims=12, follow=True),
            decoder=dict(type='mmparts.LatentDecoder'),
        )
        return build(type='mmparts.MaskedBytes', backbone=dict(backbone, **changes))

    def test_what_is_padded_changes_nothing(self):
        model, ids = self.build(), torch.randint(6, 262, (1, 6))
        alone = model(ids)
        together = model(torch.cat([ids, torch.zeros(1, 3, dtype=torch.long)], dim=1))
        torch.testing.assert_close(together[:, :6], alone)

    def test_the_loss_is_that_of_the_gaps(self):
        model, ids = self.build(), torch.randint(6, 262, (2, 6))
        asked = torch.zeros(2, 6, dtype=torch.bool)
        asked[0, 2] = asked[1, 5] = True
        given = ids.masked_fill(asked, 3)
        samples = [TextSample(gt_ids=each, asked=gaps) for each, gaps in zip(ids, asked)]
        logs = model(given).log_softmax(-1)
        expected = -(logs[0, 2, ids[0, 2]] + logs[1, 5, ids[1, 5]]) / 2
        torch.testing.assert_close(model.loss(given, samples)['loss'], expected)
        for sample, gaps, each in zip(model.predict(given, samples), asked, ids):
            assert sample.pred_ids[~gaps].equal(each[~gaps])

    def test_embedding_is_tied(self):
        model = self.build()
        assert sum(each.shape == (262, 12) for each in model.parameters()) == 1

    def test_other_inputs_and_outputs_are_refused(self):
        with pytest.raises(ValueError, match='inputs are MapInput; texts are read by a BytesInput'):
            self.build(inputs=dict(type='mmparts.MapInput'))
        with pytest.raises(ValueError, match='an output for each place'):
            self.build(queries=dict(type='mmparts.VectorQueries', num_queries=9, embed_dims=12))
        with pytest.raises(ValueError, match='outputs of 7 channels are compared with embeddings of 12'):
            self.build(decoder=dict(type='mmparts.LatentDecoder', out_dims=7))


class TestAutoencoder:
    INPUTS = dict(
        audio=dict(type='mmparts.AudioInput', patch=4, num_samples=32, position=fourier(32)),
        image=dict(
            type='mmparts.MapInput',
            features=dict(type='mmparts.SpaceToDepth', block=(1, 2, 2)),
            position=fourier(2, 4, 4),
        ),
        label=dict(type='mmparts.LabelInput', num_classes=5),
    )
    QUERIES = dict(
        audio=dict(type='mmparts.PositionQueries', size=(8,), position=fourier(32, spacing='half-open')),
        image=dict(type='mmparts.PositionQueries', size=(2, 6, 8), position=fourier(2, 4, 4, spacing='half-open')),
        label=dict(type='mmparts.VectorQueries', embed_dims=10),
    )

    def build(self, rates=dict(label=1.0), queries=QUERIES, **changes):
        backbone = dict(
            type='mmparts.Perceiver',
            inputs=dict(type='mmparts.MultimodalInput', inputs=self.INPUTS, mask_rates=rates),
            encoder=ENCODER,
            queries=dict(type='mmparts.MultimodalQueries', queries=queries),
            decoder=dict(type='mmparts.LatentDecoder', out_dims=12),
        )
        return build(
            type='mmparts.MultimodalAutoencoder', backbone=backbone, num_classes=5, **dict(dict(chunks=3), **changes)
        )

    def data(self, batch=2):
        inputs = dict(image=torch.rand(batch, 3, 2, 6, 8), audio=torch.rand(batch, 32), label=torch.zeros(batch, 5))
        return inputs, [ClipSample(gt_label=torch.tensor(3)) for _ in range(batch)]

    def test_a_part_of_the_outputs_is_a_part_of_the_whole(self):
        model, (inputs, _) = self.build(), self.data()
        whole = model(inputs)
        assert {name: tuple(each.shape) for name, each in whole.items()} == dict(
            image=(2, 3, 2, 6, 8), audio=(2, 32), label=(2, 5)
        )
        array, latents = model.backbone.encode(inputs)
        points = dict(image=torch.tensor([0, 50, 95]), audio=torch.tensor([7, 2]))
        part = model.asked(array, latents, points)
        torch.testing.assert_close(part['image'], whole['image'].flatten(2)[..., points['image']].transpose(1, 2))
        torch.testing.assert_close(part['audio'].flatten(1), whole['audio'].unflatten(1, (8, 4))[:, [7, 2]].flatten(1))
        torch.testing.assert_close(part['label'][:, 0], whole['label'])

    def test_the_label_does_not_leak(self):
        model, (inputs, _) = self.build(), self.data()
        other = dict(inputs, label=torch.ones(2, 5))
        torch.testing.assert_close(model(other)['label'], model(inputs)['label'], rtol=0, atol=0)
        with pytest.raises(ValueError, match='the class would leak'):
            self.build(rates=dict(label=0.5))

    def test_losses_have_their_weights(self):
        inputs, samples = self.data()
        torch.manual_seed(1)
        once = self.build(loss_weights=dict(image=1.0, audio=1.0, label=1.0)).loss(inputs, samples)
        torch.manual_seed(1)
        weighted = self.build(loss_weights=dict(image=0.5, audio=2.0, label=0.0)).loss(inputs, samples)
        for name, factor in (('image', 0.5), ('audio', 2.0), ('label', 0.0)):
            torch.testing.assert_close(weighted[f'loss_{name}'], factor * once[f'loss_{name}'])

    def test_unknown_and_absent_modalities_are_named(self):
        with pytest.raises(ValueError, match='queries name depth; modalities are audio, image, label'):
            self.build(queries=dict(depth=self.QUERIES['image']))
        with pytest.raises(ValueError, match='points name depth'):
            self.build(points=dict(depth=3))
        inputs, _ = self.data()
        del inputs['audio']
        with pytest.raises(ValueError, match='no audio in the inputs, which have image, label'):
            self.build()(inputs)
        with pytest.raises(ValueError, match='mask_rates names depth'):
            self.build(rates=dict(depth=1.0))


class TestSets:
    def build(self, each: bool, inputs=dict(type='mmparts.EntityInput', point_dims=3, embed_dims=12), **changes):
        queries = dict(type='mmparts.InputQueries') if each else dict(type='mmparts.VectorQueries', embed_dims=12)
        backbone = dict(
            type='mmparts.Perceiver',
            inputs=inputs,
            encoder=ENCODER,
            queries=queries,
            decoder=dict(type='mmparts.LatentDecoder'),
        )
        return build(type='mmparts.SetClassifier', backbone=dict(backbone, **changes), num_classes=4)

    @pytest.mark.parametrize('each', [True, False])
    def test_order_and_padding_change_nothing(self, each):
        model, points = self.build(each).double(), torch.randn(1, 6, 3, dtype=torch.double)
        mask, order = torch.ones(1, 6, dtype=torch.bool), torch.randperm(6)
        alone = model(dict(points=points, mask=mask))
        turned = model(dict(points=points[:, order], mask=mask))
        torch.testing.assert_close(turned, alone[:, order] if each else alone)
        padded = torch.cat([points, torch.randn(1, 2, 3, dtype=torch.double)], 1)
        padded = model(dict(points=padded, mask=torch.arange(8)[None] < 6))
        torch.testing.assert_close(padded[:, : alone.shape[1]], alone)

    def test_an_empty_set_is_no_error(self):
        model = self.build(True)
        data = PadPreprocessor()(dict(inputs=[torch.randn(3, 3), torch.zeros(0, 3)], data_samples=None))
        first, second = model.predict(data['inputs'])
        assert first.pred_labels.shape == (3,) and second.pred_labels.shape == (0,)
        samples = [SetSample(gt_labels=torch.tensor([0, 1, 2])), SetSample(gt_labels=torch.zeros(0, dtype=torch.long))]
        assert model.loss(data['inputs'], samples)['loss'].isfinite()
        none = PadPreprocessor()(dict(inputs=[torch.zeros(0, 3)], data_samples=None))
        assert model.loss(none['inputs'], samples[1:])['loss'] == 0

    def test_points_of_all_kinds(self):
        inputs = dict(type='mmparts.PointInput', position=fourier(8, 8, 8), extra_dims=2)
        model = self.build(False, inputs)
        assert model(dict(points=torch.rand(2, 7, 5), mask=torch.ones(2, 7, dtype=torch.bool))).shape == (2, 1, 4)

    def test_labels_and_inputs_that_do_not_fit_are_named(self):
        model = self.build(True)
        data = dict(points=torch.randn(1, 3, 3), mask=torch.ones(1, 3, dtype=torch.bool))
        with pytest.raises(ValueError, match='has 2 labels; this model says 3'):
            model.loss(data, [SetSample(gt_labels=torch.tensor([0, 1]))])
        with pytest.raises(ValueError, match='a label 4 is none of 0 to 3'):
            model.loss(data, [SetSample(gt_labels=torch.tensor([0, 1, 4]))])
        with pytest.raises(ValueError, match='sets are read by PointInput or EntityInput'):
            self.build(True, dict(type='mmparts.MapInput'))
        with pytest.raises(ValueError, match='2 outputs; a set has one class'):
            self.build(False, queries=dict(type='mmparts.VectorQueries', num_queries=2, embed_dims=12))


class TestPermutedPixels:
    PERCEIVER = dict(
        type='mmparts.Perceiver',
        inputs=dict(type='mmparts.MapInput', features=dict(type='mmparts.Pixels', in_channels=17)),
        encoder=ENCODER,
    )

    def build(self, seed, backbone=PERCEIVER, **changes):
        cfg = dict(type='mmparts.PermutedPixels', size=(6, 8), position=fourier(6, 8), backbone=backbone, seed=seed)
        return build(**dict(cfg, **changes))

    @pytest.mark.parametrize('learned', [True, False])
    def test_a_perceiver_does_not_see_it_and_a_convolution_does(self, learned):
        position = dict(type='mmparts.LearnedPosition', size=(6, 8), embed_dims=14) if learned else fourier(6, 8)
        images = torch.randn(2, 3, 6, 8)
        raw, permuted = (self.build(seed, position=position, double=True)(images)[0] for seed in (None, 1))
        assert raw.equal(permuted)
        resnet = dict(type='mmdet.ResNet', depth=18, base_channels=4, in_channels=17, num_stages=1, out_indices=(0,),
            strides=(1,), dilations=(1,))  # fmt: skip
        raw, permuted = (self.build(seed, resnet)(images)[0] for seed in (None, 1))
        assert (raw - permuted).abs().max() > 0.1

    def test_channels_and_sizes_that_do_not_fit_are_named(self):
        with pytest.raises(ValueError, match='Perceiver takes 17 channels; colours and positions are 3'):
            self.build(0, position=dict(type='mmparts.NoPosition'))
        with pytest.raises(ValueError, match='image 6x6; the permutation is of the pixels of 6x8'):
            self.build(0)(torch.zeros(1, 3, 6, 6))


def test_batches_of_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match='a batch of image of unequal shapes'):
        StackPreprocessor()(dict(inputs=[dict(image=torch.zeros(2)), dict(image=torch.zeros(3))]))
