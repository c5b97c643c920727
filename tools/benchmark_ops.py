"""Time operators, matching and evaluation against those of peers: `python tools/benchmark_ops.py`."""

from mmparts.analysis.races.race import main
from mmparts.ops.mmcv.torchvision_guard import declare_ops_where_broken

if __name__ == '__main__':
    declare_ops_where_broken()  # transformers imports torchvision
    main()
