"""Train a model: `python tools/train.py CONFIG`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('train')
