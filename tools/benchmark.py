"""What a config costs: `python tools/benchmark.py CONFIG`."""

import argparse
import copy
import json
import logging
import os.path as osp
from dataclasses import asdict

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.complexity import build_on_meta, count_macs, count_parameters
from mmparts.analysis.races import benchmark
from mmparts.analysis.races.benchmark_table import print_report
from mmparts.analysis.races.timing import race
from mmparts.analysis.races.transformers_peer import Contest, inference_contest, training_contest
from mmparts.engine import cli
from mmparts.options import device, whole
from mmparts.tasks import task_of

PEER_CONFIG = 'mmparts::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'

EPILOG = """
Without --params, --flops, --speed or --train: the first three. Counts are exact and made without memory for the
weights. Speed is measured with random weights on noise, at the size of the config's test pipeline; a large model on a
CPU is timed for one batch only, see --seconds. --compare transformers needs no config; it races the Deformable DETR of
the config (default: R50, 4 scales) against Hugging Face's, with the same weights and outputs held against each other.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Parameters, FLOPs, images a second and peak memory of a config.', epilog=EPILOG
    )
    parser.add_argument('config', nargs='?', help='path of a config, or `mmparts::folder/name.py`')
    parser.add_argument('--params', action='store_true', help='count parameters')
    parser.add_argument('--flops', action='store_true', help='count multiply-adds (what papers call FLOPs)')
    parser.add_argument('--speed', action='store_true', help='time inference and measure its peak memory')
    parser.add_argument('--train', action='store_true', help='time training steps and measure their peak memory')
    parser.add_argument('--compare', choices=['transformers'], help='race a Deformable DETR against that of a library')
    parser.add_argument('--json', metavar='FILE', help='also write the figures to FILE; `-` prints them, and no table')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='SIDE',
        help="size of the images, H W, or D H W of volumes; default: that of the config's test pipeline",
    )
    parser.add_argument(
        '--batch-size', type=whole(1), default=1, help='images a step, for --speed and --train (default 1)'
    )
    parser.add_argument('--device', type=device, default=get_device(), help='default: %(default)s')
    parser.add_argument('--amp-dtype', choices=['float16', 'bfloat16'], help='mixed precision, for --speed and --train')
    parser.add_argument('--rounds', type=whole(1), default=10, help='repetitions (default 10); of races at least 5')
    parser.add_argument(
        '--seconds',
        type=float,
        default=15.0,
        help='stop repeating after this time, for --speed and --train (default 15)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override entries of the config'
    )
    args = parser.parse_args()
    if args.config is None and not args.compare:
        parser.error('give a config, or --compare transformers')
    return args


def measure(args: argparse.Namespace) -> dict:
    """The figures that were asked for."""
    cfg = cli.load_config(args.config or PEER_CONFIG, args.cfg_options)
    device = torch.device(args.device)
    shape = tuple(args.shape or task_of(cfg).size(cfg))
    report = dict(config=args.config or PEER_CONFIG, shape=shape, environment=benchmark.environment(device))
    everything = not (args.params or args.flops or args.speed or args.train or args.compare)

    if args.params or args.flops or everything:
        model = build_on_meta(cfg)
        if args.params or everything:
            report['parameters'] = {name: asdict(part) for name, part in count_parameters(model).items()}
        if args.flops or everything:
            report['macs'] = count_macs(model, shape)

    options = dict(batch_size=args.batch_size, shape=shape, amp_dtype=args.amp_dtype)
    limits = dict(rounds=args.rounds, budget=args.seconds)
    if args.speed or everything:
        report['inference'] = {**options, **benchmark.measure_inference(cfg, **options, device=device, **limits)}
    if args.train:
        report['training'] = {**options, **benchmark.measure_training(cfg, **options, device=device, **limits)}
    if args.compare:
        name = osp.splitext(osp.basename(report['config']))[0]
        report['races'] = [
            race_inference(cfg, name, args.shape, device, args.rounds),
            race_training(cfg, name, device, args.rounds),
        ]
    return report


def race_inference(cfg: Config, name: str, shape: list[int] | None, device: torch.device, rounds: int) -> dict:
    """The model of the config, one image."""
    model = perturbed(benchmark.build_untrained(cfg, device))
    task = task_of(model)
    shape = tuple(shape or task.default_size)
    contest = inference_contest(model, *task.random(model, shape, device=device).values())
    return run(contest, f'{name}: inference, batch 1, {shape[0]}x{shape[1]}', device, rounds)


def race_training(cfg: Config, name: str, device: torch.device, rounds: int) -> dict:
    """The same on a ResNet-18, two small images of unequal widths; what the two define differently is made equal."""
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(
        {
            'model.backbone.depth': 18,
            'model.backbone.norm_eval': True,
            'model.encoder.dropout': 0.0,
            'model.decoder.dropout': 0.0,
            'model.head.terms.0.weight': 1.0,
        }
    )
    model = perturbed(benchmark.build_untrained(cfg, device))
    images, samples = task_of(model).random(model, (256, 256), 2, device).values()
    samples[1].set_metainfo(dict(img_shape=(256, 192)))
    samples[1].gt_instances.bboxes[:, 0::2] *= 192 / 256
    images[1, :, :, 192:] = 0
    contest = training_contest(model, images, samples)
    return run(contest, f'{name} on a ResNet-18: loss and backward, batch 2, 256x256', device, rounds)


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """With every weight a little off its start: at the start samples lie on the border of two cells, where the
    gradients of either cell are right."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def run(contest: Contest, name: str, device: torch.device, rounds: int) -> dict:
    """Check that both sides agree, then let them take turns."""
    agreement = contest.check()
    result = race(contest.ours, contest.theirs, device, max(rounds, 5))
    sides = {
        side: dict(best=timing.best, median=timing.median, seconds=timing.seconds)
        for side, timing in (('ours', result.ours), ('theirs', result.theirs))
    }
    return dict(name=name, check=agreement, ratio=result.ratio, spread=result.spread, **sides)


def main() -> None:
    args = arguments()
    cli.refuse_outputs({'--json': None if args.json == '-' else args.json}, {'config': args.config})
    logging.disable(logging.WARNING)  # mmengine reports on every weight that it initialises, and on every frozen one
    report = measure(args)
    if args.json == '-':
        print(json.dumps(report, indent=2))
        return
    print_report(report)
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(report, file, indent=2)


if __name__ == '__main__':
    cli.run(main)
