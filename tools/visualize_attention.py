"""Draw where the decoder looks: `python tools/visualize_attention.py IMAGE CONFIG CHECKPOINT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('attention')
