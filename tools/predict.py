"""Predict images or volumes: `python tools/predict.py IMAGE_OR_FOLDER CONFIG CHECKPOINT`."""

import argparse
import os.path as osp
import sys

from mmengine.device import get_device

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.engine import cli
from mmparts.inference.detector import Detector, Failure, find_images
from mmparts.inference.predictions import Records
from mmparts.inference.volumes import CleanUp, ExportFailed, VolumePredictor, predict_volumes, takes_volumes
from mmparts.tasks import task_of
from mmparts.visualization.pictures import file_name, save


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Predict an image or the images of a folder: writes pictures and predictions.json. Of volumes: '
        'a volume, a folder of them, or a data set; writes label files with their geometry, too. Exit code 1 if one '
        'failed.'
    )
    parser.add_argument('images', help='an image, a volume, or a folder of them')
    parser.add_argument('config', help='the config that the model was trained with; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--out', default='predictions', metavar='DIR', help='where to write (default: predictions)')
    parser.add_argument('--score-thr', type=cli.share, default=0.3, help='lowest score to keep (default 0.3)')
    parser.add_argument(
        '--device', type=cli.device, default=get_device(), help='cpu, cuda:0 ... (default: a GPU if there is one)'
    )
    parser.add_argument(
        '--batch-size',
        type=cli.whole(1),
        default=1,
        help='images at a time (default 1). Only images of one size share a batch, so no detection depends on what '
        'else is predicted; what remains is rounding, some 1e-6 of a score',
    )
    volumes = parser.add_argument_group('volumes')
    volumes.add_argument('--folds', nargs='+', default=[], metavar='CKPT', help='more checkpoints: mean probability')
    volumes.add_argument('--largest', action='store_true', help='keep only the largest piece of each class')
    volumes.add_argument('--min-volume', type=float, default=0.0, help='drop pieces of fewer cubic millimetres')
    volumes.add_argument('--suffix', default='.nii.gz', help='of label files: .nii.gz, .nii, .mha, .nrrd, .npz')
    cli.add_common(parser)
    args = parser.parse_args()

    cfg = cli.prepare(args)
    cli.refuse_outputs({'--out': args.out}, {'image or folder': args.images, 'checkpoint': args.checkpoint}, cfg)
    cli.require_whole_model()
    if takes_volumes(cfg):
        return run_volumes(args, cfg)
    paths = find_images(args.images, cfg)
    if osp.realpath(args.out) == osp.realpath(osp.dirname(paths[0]) or '.'):
        raise SystemExit(f'error: --out {args.out} is the folder of the images, whose files would be written over')
    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), args.device)

    task = task_of(detector.model)
    failures, used = 0, set()
    head = dict(config=args.config, checkpoint=args.checkpoint, classes=detector.classes)
    with Records(osp.join(args.out, 'predictions.json'), head) as records:
        for path, result in zip(paths, detector(paths, args.batch_size)):
            if isinstance(result, Failure):
                failures += 1
                records.add(dict(image=path, error=result.reason))
                print(f'{path}: failed, {result.reason}', file=sys.stderr)
                continue
            name = file_name(path, used)
            record = dict(task.record(result, detector.classes, args.score_thr), picture=name)
            save(task.draw_file(result, detector.classes, args.score_thr), osp.join(args.out, name))
            records.add(record)
            print(f'{path}: {task.summary(record)}')

    print(f'{len(paths) - failures} of {len(paths)} images: {osp.join(args.out, "predictions.json")}')
    return 1 if failures else 0


def run_volumes(args: argparse.Namespace, cfg) -> int:
    checkpoints = [cli.require_file(path, 'checkpoint') for path in (args.checkpoint, *args.folds)]
    predictor = VolumePredictor(cfg, checkpoints, args.device, CleanUp(args.largest, args.min_volume))
    failures = predict_volumes(args.images, cfg, predictor, args.out, args.suffix)
    print(f'{failures} failed; {osp.join(args.out, "predictions.json")}')
    return 1 if failures else 0


if __name__ == '__main__':
    cli.run(main, ExportFailed, ValueError)
