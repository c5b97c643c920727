"""CapFilt, texts written and filtered: `python tools/capfilt.py CONFIG CHECKPOINT FOLDER ... --out DIR`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('capfilt')
