"""Search a folder by a text or an image: `python tools/search_images.py FOLDER CONFIG CHECKPOINT --text TEXT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('search')
