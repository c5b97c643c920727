"""Print a config as a run reads it: `python tools/print_config.py CONFIG [KEY]`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('print_config')
