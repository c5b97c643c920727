"""The main job end to end: make a data set, train a small DINO on it, evaluate it, draw what it sees."""

import argparse
import os
import os.path as osp
import subprocess
import sys
import time

import mmparts  # noqa: F401  registers the parts
from mmparts.datasets import make_shapes
from mmparts.engine import cli
from mmparts.engine.resuming.lock import unused
from mmparts.options import whole
from mmparts.visualization import read_scalars

TOOLS = osp.dirname(osp.abspath(__file__))
BATCH = 8  # pictures a step, of all processes together
PROCESSES = (1, 2, 4, 8)  # that can share them


def main() -> int | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        '--config',
        default=osp.join(TOOLS, '../configs/dino/dino-4scale_small_2xb4-7e_shapes.py'),
        help='a config of the generated set',
    )
    parser.add_argument('--data', default='data/shapes', help='folder of the generated set; made when absent')
    parser.add_argument('--images', type=whole(1), default=1500, help='training pictures to generate')
    parser.add_argument('--val-images', type=whole(1), default=200, help='unseen pictures to generate')
    # One thread each: for nets this small two processes are faster than two threads that wake for every op.
    most = max(number for number in PROCESSES if number <= cli.default_processes())
    parser.add_argument(
        '--processes',
        type=int,
        default=most,
        choices=PROCESSES,
        help=f'processes to train with, one thread each, that share batches of {BATCH} pictures',
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/demo',
        help='folder for logs, checkpoints and pictures; `-2` is added where it is used',
    )
    args = parser.parse_args()
    cli.require_gpus(args.processes)
    args.work_dir = unused(args.work_dir)
    start = time.time()

    make_shapes(args.data, images=args.images, val_images=args.val_images, workers=max(2, args.processes))
    training = subprocess.run(
        [
            'bash',
            osp.join(TOOLS, 'dist_train.sh'),
            args.config,
            str(args.processes),
            '--work-dir',
            args.work_dir,
            '--cfg-options',
            f'data_root={args.data}',
            f'train_dataloader.batch_size={BATCH // args.processes}',
        ],
        env=dict(os.environ, PYTHON=sys.executable),
    )
    if training.returncode:
        return training.returncode

    _, validations = read_scalars(args.work_dir)
    final = validations[-1]
    print(
        f'\nBox mAP {final["coco/bbox_mAP"]:.3f} (AP50 {final["coco/bbox_mAP_50"]:.3f}) on {args.val_images} unseen '
        f'pictures after {final["step"]} epochs, {(time.time() - start) / 60:.1f} minutes in all.'
    )
    for what, name in (
        ('predictions beside ground truth', 'val_predictions.png'),
        ('loss and AP', 'curves.png'),
        ('checkpoint', f'epoch_{final["step"]}.pth'),
    ):
        print(f'  {what + ":":33s}{osp.join(args.work_dir, name)}')


if __name__ == '__main__':
    cli.run(main, FileExistsError, ValueError)
