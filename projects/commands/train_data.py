"""`mmparts train FOLDER`: from data to the config of a small model, and how long it will take here."""

import argparse
import os.path as osp
import sys
from glob import escape, glob

MADE = 'dino_small_*.py'  # what data_convert writes


def config_for(args: argparse.Namespace) -> str:
    """The config that was made for a folder by `mmparts data convert`, or one that is made now, in the work dir.

    A work dir that is not given is called after the folder.
    """
    from .data_convert import convert_folder

    folder = osp.abspath(args.config)
    found = glob(osp.join(escape(folder), MADE)) if osp.isdir(folder) else []
    if len(found) > 1:
        sys.exit(f'error: {folder} has several configs, {", ".join(map(osp.basename, found))}; name one of them')
    if found:
        if args.epochs:
            chosen = {'train_cfg.max_epochs': args.epochs, 'train_cfg.val_interval': -(-args.epochs // 5)}
            args.cfg_options = {**chosen, **(args.cfg_options or {})}  # as the command line would say it
        return found[0]
    name = osp.splitext(osp.basename(folder))[0]
    args.work_dir = args.work_dir or osp.join('work_dirs', name)
    args.folder = args.config
    return convert_folder(args, osp.join(args.work_dir, 'data'), args.epochs)


def estimate(cfg) -> None:
    """Say how long the training will take on this machine, from two steps on noise of the size that it sees."""
    import logging

    import torch
    from mmengine.device import get_device
    from mmengine.dist import is_main_process

    from ..analysis.races.benchmark import measure_training
    from ..engine.reporting.live_bar import duration
    from ..tasks import task_of

    if not is_main_process() or cfg.get('launcher', 'none') != 'none':
        return
    images = count_images(cfg)
    loader, epochs = cfg.train_dataloader, cfg.train_cfg.max_epochs
    steps = -(-images // loader.batch_size) * epochs
    shape = tuple(task_of(cfg).size(cfg))
    logging.disable(logging.WARNING)  # mmengine reports on every weight that it initialises
    try:
        timed = measure_training(cfg, loader.batch_size, shape, torch.device(get_device()), rounds=2, budget=10)
    finally:
        logging.disable(logging.NOTSET)
    seconds = timed['seconds_median']
    print(
        f'{steps} steps ({epochs} epochs of {images} images), about {seconds:.2f} s each on this machine: '
        f'{duration(steps * seconds)}, validations apart. Ctrl-C saves; --resume goes on'
    )


def count_images(cfg) -> int:
    """Images of the training set's file."""
    import json

    dataset = cfg.train_dataloader.dataset
    with open(osp.join(dataset.get('data_root') or '', dataset.ann_file), encoding='utf-8') as file:
        return len(json.load(file)['images'])
