"""A folder of volumes predicted: label files, pictures, predictions.json, and a table where labels are known."""

import json
import os.path as osp
import sys

import numpy as np
from mmengine.config import Config

from ...engine.checkpoints.checkpoint import write_atomically
from ...evaluation import VolumeMetric
from ...structures import LabelTable, VolumeSample
from ...tasks import task_of
from ...visualization.pictures import save
from .cases import find_cases
from .export import Exporter
from .predictor import VolumePredictor


def predict_volumes(path: str, cfg: Config, predictor: VolumePredictor, out: str, suffix: str = '.nii.gz') -> int:
    """Predict all cases at a path into the folder ``out``.

    Args:
        path: see `find_cases`.
        suffix: of the label files.

    Returns:
        how many cases failed.

    Raises:
        ExportFailed: a label file could not be written.
    """
    cases, records, task = find_cases(path, cfg, predictor.meta), [], task_of(predictor.models[0])
    refuse_inputs([cases.get_data_info(i) for i in range(len(cases))], out, suffix)
    metric = metric_of(cfg, osp.join(out, 'cases.csv'))
    metric.dataset_meta = cases.metainfo
    with Exporter() as exporter:
        for i in range(len(cases)):
            info = cases.get_data_info(i)
            name = info['case']
            try:
                sample = predictor(info)
            except (OSError, ValueError) as error:
                records.append(dict(case=name, error=str(error)))
                print(f'{name}: failed, {error}', file=sys.stderr)
                continue
            target = osp.join(out, f'{name}{suffix}')
            exporter.write(name, target, predictor.label(sample), sample.source_affine, sample.img_path)
            save(task.draw_file(sample, cases.metainfo['classes']), osp.join(out, f'{name}.png'))
            if 'gt_sem_seg' in sample:
                metric.process({}, [sample.to_dict()])
            records.append(dict(record(sample, cases.metainfo), label=target))
            print(f'{name}: {summary(records[-1])}')
    scores = metric.evaluate(len(metric.results)) if metric.results else {}
    document = dict(config=cfg.filename, classes=list(cases.metainfo['classes']), scores=scores, predictions=records)
    write_atomically(json.dumps(document, indent=1).encode(), osp.join(out, 'predictions.json'))
    return sum('error' in each for each in records)


def refuse_inputs(infos: list[dict], out: str, suffix: str):
    """Raise ValueError if a label file would be written over a file that is read."""
    read = {osp.realpath(path) for info in infos for path in (*info['img_paths'], info['seg_map_path']) if path}
    for info in infos:
        target = osp.join(out, f'{info["case"]}{suffix}')
        if osp.realpath(target) in read:
            raise ValueError(f'the prediction of {info["case"]} would replace its input {target}')


def metric_of(cfg: Config, csv_file: str) -> VolumeMetric:
    """The metric of volumes in the config's evaluator, or the default one."""
    evaluators = cfg.get('test_evaluator') or []
    for each in evaluators if isinstance(evaluators, list) else [evaluators]:
        if str(each.get('type', '')).split('.')[-1] == 'VolumeMetric':
            options = {key: value for key, value in each.items() if key != 'type'}
            return VolumeMetric(**{**options, 'csv_file': csv_file})
    return VolumeMetric(csv_file=csv_file)


def record(sample: VolumeSample, meta: dict) -> dict:
    """What predictions.json says of a case."""
    table = LabelTable.of(meta)
    masks = table.scored_masks(sample.pred_sem_seg.data.cpu().numpy())
    millilitres = abs(np.linalg.det(np.asarray(sample.source_affine)[:3, :3])) / 1000
    volumes = {name: round(float((m == 1).sum() * millilitres), 4) for name, m in zip(table.scored, masks)}
    return dict(
        case=sample.case,
        image=sample.img_path,
        shape=list(sample.source_shape),
        millilitres=volumes,
        seconds=round(sample.seconds, 3),
        peak_megabytes=peak_megabytes(),
    )


def peak_megabytes() -> int:
    """Largest memory of this process so far."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == 'darwin' else 1 << 10)


def summary(record: dict) -> str:
    """A record in a line."""
    volumes = ', '.join(f'{name} {value:g} ml' for name, value in record['millilitres'].items())
    return f'{volumes}; {record["seconds"]:.2f} s, peak {record["peak_megabytes"]} MB'
