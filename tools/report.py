"""Write the report of a run: `python tools/report.py WORK_DIR [OTHER ...]`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('report')
