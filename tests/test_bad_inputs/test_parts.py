"""Numbers that mean nothing, given to parts in Python: refused by the part, with its name."""

import pytest

from mmparts.detr.denoising import Denoising
from mmparts.detr.detector import refuse_numbers


# holds: values that mean nothing
@pytest.mark.parametrize('name', ['embed_dims', 'num_queries', 'num_classes', 'num_levels'])
@pytest.mark.parametrize('number', [0, -1, 2.5, '3', None])
def test_a_detector_needs_one_at_least(name, number):
    with pytest.raises(ValueError, match=f'{name}={number!r} of the detector; a whole number from 1'):
        refuse_numbers(**{name: number})
    refuse_numbers(**{name: 1})


# holds: values that mean nothing
@pytest.mark.parametrize(
    'options',
    [
        dict(num=0),
        dict(num=-5),
        dict(copies=0),
        dict(label_noise=-0.1),
        dict(label_noise=1.5),
        dict(box_noise=-1),
        dict(box_noise=float('nan')),
    ],
)
def test_denoising_of_nothing(options):
    with pytest.raises(ValueError, match='of Denoising'):
        Denoising(embed_dims=8, **options)
    assert Denoising(embed_dims=8, num=1)
