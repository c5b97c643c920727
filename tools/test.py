"""Evaluate a checkpoint: `python tools/test.py CONFIG CHECKPOINT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('test')
