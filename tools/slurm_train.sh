#!/usr/bin/env bash
# Train on a Slurm cluster.
#
#   [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS="..."] \
#       tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]
#
# The port comes from the job id. To be requeued before the time limit: SRUN_ARGS="--signal=USR1@120 --requeue" and
# --resume auto; training then saves, exits with code 75 and goes on where it was.
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/slurm.sh" "$1" "$2" train.py "$3" --work-dir "$4" "${@:5}"
