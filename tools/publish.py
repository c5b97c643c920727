"""Make a checkpoint small to give it away: `python tools/publish.py CHECKPOINT OUT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('publish')
