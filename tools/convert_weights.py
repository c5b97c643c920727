"""Convert an official checkpoint: `python tools/convert_weights.py IN OUT --config CONFIG`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('convert')
