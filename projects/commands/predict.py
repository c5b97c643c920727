"""Predict images or volumes: `mmparts predict IMAGE_OR_FOLDER CONFIG CHECKPOINT`."""

import argparse
import os.path as osp
import sys

from ..options import Parser, add_common, add_device, device_of, share, whole

ERRORS = (ValueError,)


def parser() -> Parser:
    parser = Parser(
        description='Predict an image or the images of a folder: writes pictures and predictions.json. Of volumes: '
        'a volume, a folder of them, or a data set; writes label files with their geometry, too. Exit code 1 if one '
        'failed.'
    )
    parser.add_argument('images', help='an image, a video (.mp4 ...), the number of a camera, a volume, or a folder')
    parser.add_argument('config', help='the config that the model was trained with; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--out', default='predictions', metavar='DIR', help='where to write (default: predictions)')
    parser.add_argument(
        '--score-thr',
        type=share,
        help='lowest score to keep (default: the one that the report beside the checkpoint found best, else 0.3)',
    )
    parser.add_argument('--coco', action='store_true', help='write coco.json, too: a COCO data set with scores')
    parser.add_argument('--frames', type=whole(1), metavar='N', help='of a video or camera: stop after so many')
    add_device(parser)
    parser.add_argument(
        '--batch-size',
        type=whole(1),
        default=1,
        help='images at a time (default 1). Only images of one size share a batch, so no detection depends on what '
        'else is predicted; what remains is rounding, some 1e-6 of a score',
    )
    parser.add_argument(
        '--texts',
        nargs='+',
        default=[],
        metavar='TEXT',
        help='names to tell apart by (zero-shot classifiers, open vocabularies), or texts to compare images with',
    )
    volumes = parser.add_argument_group('volumes')
    volumes.add_argument('--folds', nargs='+', default=[], metavar='CKPT', help='more checkpoints: mean probability')
    volumes.add_argument('--largest', action='store_true', help='keep only the largest piece of each class')
    volumes.add_argument('--min-volume', type=float, default=0.0, help='drop pieces of fewer cubic millimetres')
    volumes.add_argument('--suffix', default='.nii.gz', help='of label files: .nii.gz, .nii, .mha, .nrrd, .npz')
    add_common(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from ..engine import cli
    from ..engine.reporting.report import threshold_beside
    from ..inference.detector import find_images
    from ..inference.video import is_video
    from ..inference.volumes import takes_volumes

    cfg = cli.prepare(args)
    cli.refuse_outputs({'--out': args.out}, {'image or folder': args.images, 'checkpoint': args.checkpoint}, cfg)
    cli.require_whole_model()
    if takes_volumes(cfg):
        return run_volumes(args, cfg)
    if args.score_thr is None:
        args.score_thr = threshold_beside(args.checkpoint) or 0.3
    if is_video(args.images):
        return run_video(args, cfg)
    paths = find_images(args.images, cfg)
    if osp.realpath(args.out) == osp.realpath(osp.dirname(paths[0]) or '.'):
        raise SystemExit(f'error: --out {args.out} is the folder of the images, whose files would be written over')
    return run_images(args, cfg, paths)


def run_images(args: argparse.Namespace, cfg, paths: list[str]) -> int:
    from ..engine import cli
    from ..inference.detector import Detector, Failure
    from ..inference.predictions import Records
    from ..visualization.pictures import file_name, save

    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), device_of(args), args.texts)
    task = detector.task
    failures, used, found = 0, set(), []
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
            found.append(record)

    if args.coco:
        save_coco(found, detector.classes, osp.join(args.out, 'coco.json'))
    print(f'{len(paths) - failures} of {len(paths)} images: {osp.join(args.out, "predictions.json")}')
    return 1 if failures else 0


def save_coco(records: list[dict], classes: list[str] | None, path: str) -> None:
    import json

    from ..engine.checkpoints.checkpoint import write_atomically
    from ..inference.coco_json import coco_of

    write_atomically(json.dumps(coco_of(records, classes)).encode(), path)


def run_video(args: argparse.Namespace, cfg) -> int:
    from ..engine import cli
    from ..inference.detector import Detector
    from ..inference.video import predict_video

    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), device_of(args))
    number, path = predict_video(args.images, detector, detector.task, args.out, args.score_thr, args.frames)
    print(f'{number} frames: {path}')
    return 0


def run_volumes(args: argparse.Namespace, cfg) -> int:
    from ..engine import cli
    from ..inference.volumes import CleanUp, ExportFailed, VolumePredictor, predict_volumes

    checkpoints = [cli.require_file(path, 'checkpoint') for path in (args.checkpoint, *args.folds)]
    predictor = VolumePredictor(cfg, checkpoints, device_of(args), CleanUp(args.largest, args.min_volume))
    try:
        failures = predict_volumes(args.images, cfg, predictor, args.out, args.suffix)
    except ExportFailed as error:
        raise SystemExit(f'error: {error}') from error
    print(f'{failures} failed; {osp.join(args.out, "predictions.json")}')
    return 1 if failures else 0
