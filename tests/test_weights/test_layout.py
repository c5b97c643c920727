"""The base class of layouts, and that every layout stands on it."""

import pytest
import torch
from torch import nn

from mmparts.registry import WEIGHT_LAYOUTS
from mmparts.weights.convert import account
from mmparts.weights.errors import WeightsDoNotFit
from mmparts.weights.keys import Rule, block
from mmparts.weights.layout import WeightLayout

WEIGHT_LAYOUTS.import_from_location()


@pytest.mark.parametrize('name', sorted(WEIGHT_LAYOUTS.module_dict))
def test_every_layout_stands_on_the_base(name):
    layout = WEIGHT_LAYOUTS.get(name)
    assert issubclass(layout, WeightLayout)
    assert layout.matches is not WeightLayout.matches and not layout.matches({'a name of nobody'})
    assert layout.convert.__func__ is WeightLayout.convert.__func__, 'the guard on the model stands in the base alone'


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.head = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))


class Flax(WeightLayout):
    """Names with slashes, kernels the other way round."""

    model = Plain

    @classmethod
    def rules(cls, state, model):
        return [Rule('q', ['block_0/query/kernel'], lambda kernel, shape: kernel.t().contiguous())]

    @classmethod
    def drop(cls, state, model):
        return {r'opt/.*': 'the optimizer'}

    @classmethod
    def fresh(cls, state, model):
        return {'head': 'a new head'}


class TestBase:
    def test_names_with_slashes(self):
        kernel = torch.arange(6.0).reshape(3, 2)
        made = account({'block_0/query/kernel': kernel, 'opt/step': torch.zeros(1)}, Plain(), Flax).check()
        assert torch.equal(made.state['q'], kernel.t()) and made.initialised == {'head': 'a new head'}
        assert made.dropped == {'opt/step': 'the optimizer'}

    def test_another_model_is_refused_before_any_rule(self):
        class Broken(Flax):
            @classmethod
            def rules(cls, state, model):
                return block(0, model.no_such_thing)

        with pytest.raises(WeightsDoNotFit, match='the layout fills a Plain of .*, the config builds a .*Linear'):
            account({'a': torch.zeros(1)}, nn.Linear(1, 1), Broken).check()

    def test_one_of_several_models(self):
        class Both(Flax):
            model = (Plain, nn.Linear)

        with pytest.raises(WeightsDoNotFit, match='fills a Plain of .* or a Linear of torch, the config builds'):
            account({'a': torch.zeros(1)}, nn.ReLU(), Both).check()

    def test_refused_although_the_names_fit(self):
        class Strict(Flax):
            @classmethod
            def refuse(cls, state, model):
                return {'q': 'another arithmetic'}

        with pytest.raises(WeightsDoNotFit, match='q <- another arithmetic'):
            account({'block_0/query/kernel': torch.zeros(3, 2)}, Plain(), Strict).check()

    def test_class_rows_are_for_layouts_that_have_them(self):
        class Rows(Flax):
            classes = ('coco',)

            @classmethod
            def rules(cls, state, model, classes=None):
                return [Rule('q', ['q'], lambda rows, shape: rows[: 2 if classes else 3])]

        state = {'q': torch.zeros(3, 3)}
        assert account(state, Plain(), Rows, classes='coco').check().state['q'].shape == (2, 3)
        with pytest.raises(WeightsDoNotFit, match='got 3x3, wanted 2x3'):
            account(state, Plain(), Rows).check()
        with pytest.raises(WeightsDoNotFit, match="cannot pick classes='lvis'.*it knows coco"):
            account(state, Plain(), Rows, classes='lvis')
        with pytest.raises(WeightsDoNotFit, match="cannot pick classes='coco'.*it has no class rows"):
            account(state, Plain(), Flax, classes='coco')

    @pytest.mark.parametrize('bad', [float('nan'), float('inf')])
    def test_numbers_that_are_not_finite_are_refused(self, bad):
        kernel = torch.zeros(3, 2)
        kernel[1, 1] = bad
        with pytest.raises(WeightsDoNotFit, match='not finite:\n  q <- block_0/query/kernel: NaN or infinity'):
            account({'block_0/query/kernel': kernel}, Plain(), Flax).check()
