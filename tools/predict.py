"""Detect objects in pictures: `python tools/predict.py IMAGE_OR_FOLDER CONFIG CHECKPOINT`."""

import argparse
import json
import os
import os.path as osp
import sys

from mmengine.device import get_device

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.engine import cli
from mmparts.engine.checkpoint import write_atomically
from mmparts.inference.detector import Detector, Failure, find_images
from mmparts.tasks import task_of
from mmparts.visualization.pictures import file_name, save


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Detect objects in an image or in the images of a folder: writes '
        'pictures and predictions.json. Exit code 1 if an image failed.'
    )
    parser.add_argument('images', help='an image or a folder')
    parser.add_argument('config', help='the config that the model was trained with')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--out', default='predictions', metavar='DIR', help='where to write (default: predictions)')
    parser.add_argument('--score-thr', type=float, default=0.3, help='lowest score to keep (default 0.3)')
    parser.add_argument('--device', default=get_device(), help='cpu, cuda:0 ... (default: a GPU if there is one)')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        help='images at a time (default 1). Only images of one size share a batch, so no detection depends on what '
        'else is predicted; what remains is rounding, some 1e-6 of a score',
    )
    cli.add_common(parser)
    args = parser.parse_args()

    cfg = cli.prepare(args)
    cli.require_whole_model()
    paths = find_images(args.images)
    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), args.device)

    task = task_of(detector.model)
    records, failures, used = [], 0, set()
    for path, result in zip(paths, detector(paths, args.batch_size)):
        if isinstance(result, Failure):
            failures += 1
            records.append(dict(image=path, error=result.reason))
            print(f'{path}: failed, {result.reason}', file=sys.stderr)
            continue
        name = file_name(path, used)
        records.append(dict(task.record(result, detector.classes, args.score_thr), picture=name))
        save(task.draw_file(result, detector.classes, args.score_thr), osp.join(args.out, name))
        print(f'{path}: {task.summary(records[-1])}')

    os.makedirs(args.out, exist_ok=True)
    document = dict(config=args.config, checkpoint=args.checkpoint, classes=detector.classes, predictions=records)
    write_atomically(json.dumps(document, indent=1).encode(), osp.join(args.out, 'predictions.json'))
    print(f'{len(paths) - failures} of {len(paths)} images: {osp.join(args.out, "predictions.json")}')
    return 1 if failures else 0


if __name__ == '__main__':
    cli.run(main)
