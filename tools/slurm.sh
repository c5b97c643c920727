#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: srun with one task for each GPU.
#
#   tools/slurm.sh PARTITION JOB_NAME TOOL [arguments of the tool]
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
partition=$1 job=$2 tool=$3
shift 3

gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# SRUN_ARGS is split into words on purpose.
# shellcheck disable=SC2086
exec srun --partition="$partition" --job-name="$job" --gres=gpu:"$per_node" --ntasks="$gpus" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 $SRUN_ARGS \
    "${PYTHON:-python}" -u "$here/$tool" "$@" --launcher slurm
