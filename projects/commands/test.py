"""Evaluate a checkpoint: `mmparts test CONFIG CHECKPOINT`."""

import argparse

from ..options import Parser, share
from ..options import parser as common


def parser() -> Parser:
    parser = common('Evaluate a checkpoint on the test set of a config.', checkpoint=True)
    parser.epilog = (
        'With test_dataloader.batch_size above 1, images of unequal sizes are padded, and what is detected in one '
        "changes a little with the others of its batch, as in the papers' codes; the shipped configs take one a time."
    )
    parser.add_argument('--out', metavar='FILE', help='write the predictions to FILE (.json or .pkl)')
    parser.add_argument('--show-dir', metavar='DIR', help='write pictures: predictions beside the ground truth')
    parser.add_argument(
        '--tta',
        nargs='*',
        type=float,
        metavar='SCALE',
        help='look at each image several times, mirrored and at these factors of its size (default 1), and join what '
        'is found: objects of two views are matched one to one',
    )
    parser.add_argument('--score-thr', type=share, default=0.3, help='draw boxes from this score on (default 0.3)')
    return parser


def main(args: argparse.Namespace) -> None:
    import json

    from mmengine.dist import is_main_process
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from ..analysis.config_checks.preflight import check_or_exit
    from ..engine import cli
    from ..engine.reporting.picture_hook import draw_test_images
    from ..engine.views import look_several_times
    from ..inference.predictions import dump_metric
    from ..tasks import task_of

    cfg = cli.prepare(args, check_or_exit)
    cli.refuse_outputs(
        {'--out': args.out, '--show-dir': args.show_dir, '--work-dir': cfg.work_dir},
        {'config': args.config, 'checkpoint': args.checkpoint},
        cfg,
    )
    cli.require_whole_model()
    cfg.load_from, cfg.resume = cli.require_file(args.checkpoint, 'checkpoint'), False
    if args.tta is not None:
        look_several_times(cfg, args.tta or (1.0,))
    if args.show_dir:
        draw_test_images(cfg, args.show_dir, args.score_thr)

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if args.out:
        dump = dump_metric(args.out, task_of(cfg))
        dump.dataset_meta = runner.test_evaluator.dataset_meta
        runner.test_evaluator.metrics.append(dump)
    metrics = runner.test()
    if is_main_process():
        print(json.dumps(metrics, indent=2, default=float))
