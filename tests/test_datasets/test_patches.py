"""Images without labels, boxes at random, and the patches of boxes."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs  # noqa: F401  registers mmdet's transforms
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from PIL import Image

from mmparts.datasets import AnnotatedPatches, CutPatches, PackPatches, RandomPatchBoxes, UnlabelledImages
from mmparts.datasets.patches import cut, hue, simclr, with_boxes
from mmparts.registry import TRANSFORMS

PLAIN = (0.0, 0.0, 0.0)


def loaded(height: int = 40, width: int = 60) -> dict:
    """An image whose red is its column, green its row, blue constant."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2], image[..., 1], image[..., 0] = np.arange(width), np.arange(height)[:, None], 77
    return dict(img=image, img_shape=(height, width), ori_shape=(height, width))


def test_random_boxes_keep_the_margins():
    np.random.seed(0)
    boxes = np.concatenate([RandomPatchBoxes(10)(loaded())['gt_bboxes'].tensor for _ in range(300)])
    size = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() == 0 and (boxes[:, 2:] <= [60, 40]).all() and (boxes == boxes.round()).all()
    assert size.min(0).tolist() == [8, 8] and size.max(0).tolist() == [52, 32]


def test_small_pictures_are_skipped():
    assert RandomPatchBoxes()(loaded(16, 60)) is None
    assert len(RandomPatchBoxes()(loaded(17, 60))['gt_bboxes']) == 10


def test_a_patch_is_what_is_in_its_box():
    picture = Image.fromarray(cv2.cvtColor(loaded()['img'], cv2.COLOR_BGR2RGB))
    patch = np.asarray(cut(picture, np.array([10.0, 5.0, 26.0, 21.0]), 16))
    assert patch[..., 0].tolist() == [list(range(10, 26))] * 16 and patch[:, 0, 1].tolist() == list(range(5, 21))
    assert np.asarray(cut(picture, np.array([59.9, 39.9, 60.0, 40.0]), 4)).shape == (4, 4, 3)  # at least a pixel


@pytest.mark.parametrize('flip', [False, True])
def test_patches_follow_their_boxes(flip):
    """After flip, crop and resize each patch still shows the original image in its own box."""
    init_default_scope('mmdet')
    np.random.seed(1)
    given = np.array([[0, 0, 10, 10], [12, 4, 28, 20], [30, 20, 46, 36], [50, 30, 60, 40]], np.float32)
    results = with_boxes(loaded(), given, label=1)
    steps = [
        dict(type='RandomFlip', prob=float(flip)),
        dict(type='Resize', scale=(120, 80), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(50, 60)),
    ]
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    results = CutPatches(16, PLAIN)(results)
    kept = results['gt_instances_ids']
    assert 0 < len(kept) < 4 and len(results['gt_bboxes']) == len(results['gt_patches']) == len(kept)
    for patch, index in zip(results['gt_patches'], kept):
        left, top, right, bottom = given[index]
        assert patch[2].mean() == pytest.approx((left + right - 1) / 2, abs=1)
        assert patch[1].mean() == pytest.approx((top + bottom - 1) / 2, abs=1)
        assert (patch[0] == 77).all()

    sample = PackPatches()(results)['data_samples']
    assert sample.gt_instances.patches.dtype == torch.uint8
    assert len(sample.gt_instances) == len(kept) and sample.gt_instances.labels.tolist() == [1] * len(kept)


def test_too_few_boxes_skip_the_picture():
    assert CutPatches(minimum=2)(with_boxes(loaded(), [[0, 0, 9, 9]], 1)) is None
    assert CutPatches(8, minimum=0)(with_boxes(loaded(), [], 1))['gt_patches'].shape == (0, 3, 8, 8)


def test_augmentation():
    patch = Image.fromarray(np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8))
    same = np.asarray(patch)
    assert np.array_equal(np.asarray(simclr(patch, *PLAIN)), same)
    grey = np.asarray(simclr(patch, 0, 1, 0))
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], np.asarray(patch.convert('L')))
    assert np.asarray(simclr(patch, 0, 0, 1)).std() < same.std()
    np.random.seed(0)
    assert not np.array_equal(np.asarray(simclr(patch, 1, 0, 0)), same)


def test_hue_turns_the_circle_by_at_most_a_tenth():
    np.random.seed(0)
    red = Image.new('RGB', (1, 1), (255, 0, 0))
    turned = [hue(red).convert('HSV').getpixel((0, 0))[0] for _ in range(200)]
    turned = [(each + 128) % 256 - 128 for each in turned]
    assert min(turned) < -20 and max(turned) > 20 and max(map(abs, turned)) <= 26


def test_folder_of_pictures(tmp_path):
    (tmp_path / 'train/b').mkdir(parents=True)
    for name in ('b/2.png', 'b/10.JPG', 'a.jpg', 'notes.txt'):
        (tmp_path / 'train' / name).touch()
    found = UnlabelledImages(data_root=str(tmp_path), data_prefix=dict(img='train'), pipeline=[])
    assert [found.get_data_info(i)['img_id'] for i in range(len(found))] == ['a.jpg', 'b/10.JPG', 'b/2.png']
    with pytest.raises(FileNotFoundError, match='no image .* in .*/val'):
        UnlabelledImages(data_root=str(tmp_path), data_prefix=dict(img='val'), pipeline=[])


def test_annotated_objects_keep_labels_and_masks():
    """Those that are ignored bring no patch, as they are no instances."""
    init_default_scope('mmdet')
    results = loaded()
    boxes = np.array([[0, 0, 10, 10], [12, 4, 28, 20], [30, 20, 46, 36]], np.float32)
    masks = BitmapMasks([np.full((40, 60), index, np.uint8) for index in range(3)], 40, 60)
    results.update(
        gt_bboxes=HorizontalBoxes(boxes.copy()),
        gt_bboxes_labels=np.array([4, 5, 6]),
        gt_masks=masks,
        gt_ignore_flags=np.array([False, True, False]),
    )
    results = TRANSFORMS.build(dict(type='RandomFlip', prob=1.0))(AnnotatedPatches()(results))
    found = PackPatches()(CutPatches(16, PLAIN)(results))['data_samples'].gt_instances
    assert found.labels.tolist() == [4, 6] and found.masks.masks[:, 0, 0].tolist() == [0, 2]
    for patch, (left, _, right, _) in zip(found.patches, boxes[[0, 2]]):
        assert patch[2].float().mean() == pytest.approx((left + right - 1) / 2, abs=1)
