"""The main job end to end: make a data set, train a small DINO on it, evaluate it, draw what it sees."""
import argparse
import os.path as osp
import time

import mmparts  # noqa: F401  registers the parts
from mmengine.runner import Runner
from mmparts.datasets import make_shapes
from mmparts.engine import cli


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--config', default='configs/dino/dino-4scale_small_1xb8-16e_shapes.py',
                        help='a config of the generated set')
    parser.add_argument('--data', default='data/shapes', help='folder of the generated set; made when absent')
    parser.add_argument('--images', type=int, default=1500, help='training pictures to generate')
    parser.add_argument('--val-images', type=int, default=200, help='unseen pictures to generate')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='folder for logs, checkpoints and pictures')
    args = parser.parse_args()
    start = time.time()

    make_shapes(args.data, images=args.images, val_images=args.val_images)
    cfg = cli.load_config(args.config, dict(data_root=args.data))
    cfg.work_dir = args.work_dir
    runner = Runner.from_cfg(cfg)
    runner.train()

    metrics = runner.val_loop.run()
    minutes = (time.time() - start) / 60
    print(f'\nBox mAP {metrics["coco/bbox_mAP"]:.3f} (AP50 {metrics["coco/bbox_mAP_50"]:.3f}) on {args.val_images} '
          f'unseen pictures after {runner.iter} iterations, {minutes:.1f} minutes in all.')
    for what, name in (('predictions beside ground truth', 'val_predictions.png'), ('loss and AP', 'curves.png')):
        print(f'  {what + ":":32s} {osp.join(args.work_dir, name)}')
    print(f'  {"checkpoint:":32s} {runner.work_dir}/epoch_{runner.epoch}.pth')


if __name__ == '__main__':
    cli.run(main)
