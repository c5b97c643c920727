"""Pictures of predictions beside the ground truth."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from mmparts.visualization import Objects, draw_map, draw_objects, page, sheet
from mmparts.visualization.bars import bars
from mmparts.visualization.pictures import PANEL, file_name, font, palette, wrapped

GREY = 128


def grey(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), GREY, np.uint8)


def objects(score: float | None = 0.9, box=(10, 10, 30, 30)) -> Objects:
    return Objects(np.array([box], dtype=float), np.array([1]), None if score is None else np.array([score]))


def marked(picture: Image.Image) -> np.ndarray:
    return (np.asarray(picture) != GREY).any(-1)


def test_small_image_is_enlarged_and_boxes_follow():
    picture = draw_objects(grey(40, 60), objects(), ['disc', 'square'])
    assert picture.size == (60 * PANEL // 40, PANEL)
    scale = PANEL / 40
    column = marked(picture)[round(20 * scale)]
    assert abs(np.flatnonzero(column)[0] - 10 * scale) <= 2 and abs(np.flatnonzero(column)[-1] - 30 * scale) <= 2


def test_large_image_keeps_its_size():
    assert draw_objects(grey(600, 700), objects()).size == (700, 600)


def test_nothing_is_drawn_without_objects():
    assert not marked(draw_objects(grey(), Objects())).any()


@pytest.mark.parametrize('box', [(-5, -5, 100, 100), (30, 30, 10, 10), (5, 5, 5, 5), (float('nan'), 0, 1, 1)])
def test_strange_boxes_do_not_raise(box):
    draw_objects(grey(), objects(box=box), ['one name', 'another'])


def test_no_frame_crosses_a_name():
    boxes = np.array(
        [[120.0, 100, 500, 400], [100, 300, 400, 500]]
    )  # the left side of the best passes the other's name
    picture = np.asarray(draw_objects(grey(600, 700), Objects(boxes, np.array([0, 1]), np.array([0.9, 0.5]))))
    best, other = (np.array(colour) for colour in palette(2))
    name, below = picture[285:297, 102:140], picture[310:390, 119:124]
    assert (name == other).all(-1).any() and not (name == best).all(-1).any()
    assert (below == best).all(-1).any(), 'the frame itself is there'


def test_views_stand_side_by_side_on_a_page():
    view = draw_objects(grey(), objects())
    pair, single = (page([('a', view)] * number, title='a.jpg') for number in (2, 1))
    assert pair.width > 2 * single.width - 1 and pair.height == single.height
    with pytest.raises(ValueError, match='at least one'):
        page([])


def test_a_map_is_painted_and_its_classes_are_named_below():
    labels = np.zeros((40, 60), int)
    labels[:, 20:40], labels[:, 40:] = 1, 255
    picture = np.asarray(draw_map(grey(), labels, ['sky', 'grass']))
    scale = PANEL / 40
    sky, grass, nothing = (picture[PANEL // 2, round(x * scale)] for x in (10, 30, 50))
    assert (sky != grass).any() and (sky != GREY).any() and (nothing == GREY).all()
    assert picture.shape[0] > PANEL and picture[PANEL:].std() > 1  # the legend
    assert draw_map(grey(), labels, ['sky', 'grass'], background=0).getpixel((round(10 * scale), 9)) == (GREY,) * 3
    assert draw_map(grey(), np.full((40, 60), 255), ['sky']).height == PANEL  # nothing to name


def test_threshold_order_and_masks():
    instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 9, 9], [1, 1, 8, 8], [2, 2, 7, 7]]),
        labels=torch.tensor([0, 1, 2]),
        scores=torch.tensor([0.2, 0.5, 0.8]),
        masks=torch.ones(3, 40, 60, dtype=torch.bool),
    )
    found = Objects.of(instances, 0.3)
    assert found.labels.tolist() == [2, 1] and found.masks.shape == (2, 40, 60)
    assert marked(draw_objects(grey(), found)).all()  # the mask covers the image


def test_colours_of_classes_differ():
    assert len(set(palette(80))) == 80


def test_sheet_places_pictures_of_unequal_sizes():
    page = sheet(
        [Image.new('RGB', size, (200, 0, 0)) for size in ((100, 50), (30, 90), (64, 64))], columns=2, cell_width=100
    )
    assert page.width == 2 * 110 + 10
    assert (np.asarray(page) == (200, 0, 0)).all(-1).sum() == 100 * 50 + 100 * 300 + 100 * 100


def test_names_stay_apart():
    used = set()
    assert [file_name(path, used) for path in ('x/a.jpg', 'y/a.jpg', 'z/y/a.png')] == ['a.jpg', 'y_a.jpg', 'y_a_1.jpg']


def test_what_a_model_writes_is_drawn_even_with_control_characters():
    written, panel = 'prediction: \x19\r\x1c\ud800 a ring', Image.new('RGB', (300, 40))
    dotted = page([('prediction: \N{MIDDLE DOT}\N{MIDDLE DOT}\N{MIDDLE DOT}\N{MIDDLE DOT} a ring', panel)])
    assert page([(written, panel)]) == dotted
    assert bars([(written, 0.5)]).size[0] == PANEL
    draw_objects(grey(), objects(), ['disc', written])


def test_a_long_heading_is_wrapped_within_its_panel():
    panel, caption = Image.new('RGB', (300, 40)), 'prediction: a red square and a yellow circle and a blue ring.'
    made, short = page([(caption, panel)], '000001000010.jpg'), page([('prediction', panel)])
    assert made.width == panel.width and made.height > short.height
    letters = font(17)
    lines = wrapped(f'000001000010.jpg  {caption}', letters, 292)
    assert ' '.join(lines) == f'000001000010.jpg  {caption}' and len(lines) == 3
    assert all(letters.getlength(line) <= 292 for line in lines)
    assert wrapped('a' * 200, letters, 50) == ['a' * 200]
