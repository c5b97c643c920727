"""Trained segmentors applied to cases: one, or the folds of a cross-validation by their mean probability."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ...datasets.members import members, pipeline_of
from ...datasets.volumes.check import compare
from ...engine.checkpoints.checkpoint import load_checkpoint_file
from ...engine.initialisation.fit import load_and_account
from ...registry import MODELS
from ...structures import LabelTable, VolumeSample
from ...weights.torch_file import trusted
from .clean import CleanUp

SMALLEST = 1e-7  # probability whose logarithm is taken


class VolumePredictor:
    """Models with the test pipeline of their config; predictions lie on the grid of the file.

    Args:
        cfg: The config that the models were trained with.
        checkpoints: Their weights; several are averaged.
        device: Where they run.
        clean: What is dropped from a prediction.

    Attributes:
        meta: modalities, labels and regions: of the checkpoint, else of the config.

    Raises:
        ValueError: the checkpoints were trained with other modalities, labels or regions than each other.
    """

    def __init__(self, cfg: Config, checkpoints: Sequence[str], device: str = 'cpu', clean: CleanUp | None = None):
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        self.device, self.clean = device, clean or CleanUp()
        model_cfg = {**cfg.model, 'restore': cfg.model.get('restore') or dict(type='mmparts.RestoreFile')}
        self.models, metas = [], []
        for path in checkpoints:
            loaded = load_checkpoint_file(path, 'cpu', trusted())
            model = MODELS.build(model_cfg)
            load_and_account(model, loaded.get('state_dict', loaded))
            metas.append((loaded.get('meta') or {}).get('dataset_meta') or {})
            restrict_mirror(model, metas[-1], path)
            self.models.append(model.to(device).eval())
        for path, meta in zip(checkpoints[1:], metas[1:]):
            compare(checkpoints[0], metas[0], path, meta)
        config = next(members(cfg.test_dataloader.dataset)).get('metainfo') or {}
        self.meta = {**config, **metas[0]}
        self.pipeline = Compose(list(pipeline_of(cfg.test_dataloader.dataset)))

    @torch.no_grad()
    def __call__(self, case: dict) -> VolumeSample:
        """The sample of a case (of `VolumeDataset.get_data_info`), with ``pred_sem_seg``, ``seconds`` and, where the
        case has a label, ``gt_sem_seg``."""
        started = time.perf_counter()
        data = self.pipeline(dict(case))
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        first = self.models[0]
        batch = first.data_preprocessor(batch, training=False)
        sample = batch['data_samples'][0]
        if len(self.models) == 1:
            first(**batch, mode='predict')
            if 'seg_logits' in sample:
                del sample.seg_logits
        else:
            logits = self.mean_logits(batch['inputs'])
            sample.pred_sem_seg = first.restore(logits[0], sample, first.head.decode)[1]
        sample.pred_sem_seg = torch.from_numpy(self.cleaned(sample))
        sample.set_metainfo(dict(seconds=time.perf_counter() - started))
        return sample

    def mean_logits(self, images: Tensor) -> Tensor:
        """Logits of the mean probability of all models, on the grid of the input."""
        softmax = self.models[0].head.activation == 'softmax'
        total = None
        for model in self.models:
            logits = model.inference(images, model.logits).float()
            probability = logits.softmax(1) if softmax else logits.sigmoid()
            total = probability if total is None else total.add_(probability)
        mean = total.div_(len(self.models)).clamp_(SMALLEST, 1 - SMALLEST)
        return mean.log() if softmax else mean.logit()

    def cleaned(self, sample: VolumeSample) -> np.ndarray:
        """The prediction, N D H W, without what `CleanUp` drops."""
        maps = sample.pred_sem_seg.data.cpu().numpy()
        spacing = np.linalg.norm(sample.get('source_affine')[:3, :3], axis=0)
        return self.clean.masks(maps, spacing) if self.regions else self.clean.classes(maps[0], spacing)[None]

    @property
    def regions(self) -> bool:
        """Whether predictions are masks of regions."""
        return self.meta.get('targets') == 'regions'

    def label(self, sample: VolumeSample) -> np.ndarray:
        """D H W: values as in the label files of the data set."""
        table, maps = LabelTable.of(self.meta), sample.pred_sem_seg.data.cpu().numpy()
        return table.to_values(table.from_regions(maps) if self.regions else maps[0])


def restrict_mirror(model: nn.Module, meta: dict, path: str):
    """Average over mirrors of axes that were mirrored in training only; says so where others were asked for."""
    restrict = getattr(getattr(model, 'inference', None), 'restrict_mirror', None)
    if restrict is None or 'mirror_axes' not in meta:
        return
    dropped = restrict(meta['mirror_axes'])
    if dropped:
        axes = tuple(meta['mirror_axes']) or 'no axes'
        print_log(f'{path} was trained with mirrors of {axes}; averaging leaves out {dropped}', 'current', 30)
