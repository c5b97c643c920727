"""Regions of a folder of images, as files: `python tools/region_features.py CONFIG CHECKPOINT FOLDER --out DIR`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('data regions')
