"""Make a checkpoint in shards one file: `python tools/gather.py FOLDER OUT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('gather')
