"""Draw what a config trains on: `python tools/browse_dataset.py CONFIG`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('data browse')
