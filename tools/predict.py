"""Predict images or volumes: `python tools/predict.py IMAGE_OR_FOLDER CONFIG CHECKPOINT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('predict')
