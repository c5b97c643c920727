"""What a tool must know of a kind of model: one file, one class a kind.

No tool asks what kind of model it has. It asks the model's task for batches, records, drawings and a tiny size::

    task = task_of(cfg)                        # or of a model, or of its class
    model = MODELS.build(task.tiny(cfg))
    losses = model(**task.batch(model), mode='loss')
    record = task.record(sample, classes)      # JSON
    page = task.draw(image, sample, classes)   # truth beside prediction

**A model class says** ``task = 'detection'``, a name in :data:`..registry.TASKS`, so that papers import no service.
Models of mmdet and mmseg are known by their base class (:attr:`Task.libraries`).

**A new kind** is a file here with a class under that name, imported below::

    @TASKS.register_module('retrieval')
    class Retrieval(Task):
        sample = DataSample                       # class of its data samples
        truths = ('gt_caption',)                  # fields with what is right ...
        predictions = ('pred_scores',)            # ... and with what a model says
        metrics = ('text R@1', 'image R@1')       # as tables show them, in this order

        def item(self, model, size, count, random): ...   # one image with its data sample, as a data loader gives it
        def fields(self, sample, classes, score_thr): ... # what a record holds beside the image's name and size
        def views(self, image, sample, prefix, classes, score_thr): ...  # drawings of the truth or prediction

`sizes`, `counts`, `stack` are there to be overridden where inputs are no images. Then ``tests/test_configs.py`` trains
every config of such a model for a tiny step, and predict, benchmark, browse_dataset and the hook of pictures serve it.

**A new part or model** needs no line here: its class may say how it becomes small (``tiny``, see `shrink.py`).
"""

from .base import Task, task_of, task_of_sample
from .classification import Classification, Reconstruction, VisualTokens
from .clips import Autoencoding
from .detection import Detection
from .flow import Flow
from .graphs import CannotExport, Graph
from .masked_bytes import MaskedBytesTask
from .retrieval import Retrieval, ZeroShot
from .segmentation import Segmentation
from .sets import Sets
from .writing import Caption, Choice, Classes, FillMask, Grounding, Nlvr2, Referring, Vqa

__all__ = [
    'Autoencoding',
    'CannotExport',
    'Caption',
    'Choice',
    'Classes',
    'Classification',
    'Detection',
    'FillMask',
    'Flow',
    'Graph',
    'Grounding',
    'MaskedBytesTask',
    'Nlvr2',
    'Reconstruction',
    'Referring',
    'Retrieval',
    'Segmentation',
    'Sets',
    'Task',
    'VisualTokens',
    'Vqa',
    'ZeroShot',
    'task_of',
    'task_of_sample',
]
