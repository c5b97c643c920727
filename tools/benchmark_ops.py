"""Time the special operators against the forms that peers run: `python tools/benchmark_ops.py`."""
from mmparts.ops.benchmark import main

if __name__ == '__main__':
    main()
