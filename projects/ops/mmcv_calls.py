"""The ops of this package under the names and calling conventions of ``mmcv._ext`` (mmcv 2.1.0).

mmcv's wrappers allocate the results and hand them over to be written; ours return theirs. This file is only the glue.
"""


def get_compiler_version() -> str:
    return 'none (plain torch, from mmparts)'


def get_compiling_cuda_version() -> str:
    return 'none (plain torch, from mmparts)'


CALLS = {call.__name__: call for call in (get_compiler_version, get_compiling_cuda_version)}
