#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: launch.py with a free port, or the PORT that is set.
#
#   tools/launch.sh TOOL CONFIG GPUS [arguments of the tool]
if [ $# -lt 3 ] || ! [[ $3 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: CONFIG GPUS [options]; GPUS is a number of processes, got '$3'" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tool=$1 config=$2 gpus=$3
shift 3

if [ "${NNODES:-1}" -gt 1 ]; then
    # All machines must agree, so nothing can be chosen freely.
    export MASTER_ADDR=${MASTER_ADDR:?with NNODES > 1, set MASTER_ADDR to the first machine} PORT=${PORT:-29500}
fi
# Several processes with a thread for every core each would only wait for one another.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# glibc would give large blocks back to the system after each step and ask for them again, page by page, in the next.
export MALLOC_MMAP_THRESHOLD_=${MALLOC_MMAP_THRESHOLD_:-1000000000} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-1000000000}
exec "${PYTHON:-python}" "$here/launch.py" "$gpus" "$here/$tool" "$config" "$@" --launcher pytorch
