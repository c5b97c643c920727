"""Test-time augmentation: every image in several sizes and mirrored, and what is found in all of them made one."""

import copy
from collections.abc import Sequence

from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook

from ..datasets.members import members
from ..registry import HOOKS
from ..tasks import Task, task_of

SCALES = (1.0,)


@HOOKS.register_module()
class ViewsHook(Hook):
    """In a test: predicts each view of an image, then lets the model's task make one prediction of them.

    The pipeline has to end in ``TestTimeAug``, see :func:`look_several_times`.
    """

    def before_test(self, runner) -> None:
        task, predict = task_of(runner.model), runner.model.test_step

        def test_step(data: dict) -> list:
            views = [dict(inputs=inputs, data_samples=samples) for inputs, samples in zip(*map(data.get, KEYS))]
            return [task.fuse(list(found)) for found in zip(*(predict(view) for view in views))]

        runner.model.test_step = test_step

    def after_test(self, runner) -> None:
        del runner.model.test_step


KEYS = ('inputs', 'data_samples')


def look_several_times(cfg: Config, scales: Sequence[float] = SCALES) -> None:
    """Let a test of ``cfg`` use :class:`ViewsHook`.

    Args:
        scales: factors of the size that the test pipeline resizes to; each is looked at as it is and mirrored.

    Raises:
        ValueError: the pipeline has no ``Resize`` to vary, or the model's task does not know how to join views.
    """
    task = task_of(cfg)
    if type(task).fuse is Task.fuse:
        raise ValueError(f'predictions of several views are not joined for {task.name}')
    for dataset in members(cfg.test_dataloader.dataset):
        dataset['pipeline'] = views_of(dataset['pipeline'], scales)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmparts.ViewsHook')]


def views_of(pipeline: Sequence[dict], scales: Sequence[float]) -> list[dict]:
    """A test pipeline that gives several views of each image."""
    names = [str(step['type']).rpartition('.')[2] for step in pipeline]
    if 'Resize' not in names or not names[-1].startswith('Pack'):
        raise ValueError(f'views need a pipeline with Resize that ends in Pack...; it has {", ".join(names)}')
    place = names.index('Resize')
    sizes = [scaled(pipeline[place], factor) for factor in scales]
    flips = [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)]
    pack = copy.deepcopy(dict(pipeline[-1]))
    if 'meta_keys' in pack:
        pack['meta_keys'] = (*pack['meta_keys'], 'flip', 'flip_direction')
    middle = [[step] for step in pipeline[place + 1 : -1]]
    return [*pipeline[:place], ConfigDict(type='TestTimeAug', transforms=[sizes, *middle, flips, [pack]])]


def scaled(step: dict, factor: float) -> dict:
    """A step that resizes, to another size."""
    step = copy.deepcopy(dict(step))
    scale = step['scale']
    step['scale'] = (
        tuple(round(side * factor) for side in scale) if isinstance(scale, Sequence) else round(scale * factor)
    )
    return step
