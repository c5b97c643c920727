"""What only an accelerator can show, as one prepared run that prints JSON: `python tools/device_checks.py`."""

from pathlib import Path

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.device_checks import main
from mmparts.engine import cli

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

if __name__ == '__main__':
    cli.run(lambda: main(CONFIGS))
