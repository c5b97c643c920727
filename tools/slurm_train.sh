#!/usr/bin/env bash
# Train on a Slurm cluster.
#
#   tools/slurm_train.sh [--dry-run] PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]
#
# GPUS=8             processes, one for each GPU
# GPUS_PER_NODE=8    0 for nodes without GPUs or clusters that do not count them, with TASKS_PER_NODE=8
# CPUS_PER_TASK=5    cores a process
# SRUN_ARGS="..."    more options of srun
# SBATCH=1           write WORK_DIR/job.sbatch and submit it: the job saves and queues itself again before its time is
#                    over or when it is preempted (--max-requeues, default 100), and resumes where it was. With
#   SIGNAL=USR1@120       the signal and how many seconds before the end it comes
#   SBATCH_ARGS="..."     more options of sbatch, as --time=4:00:00 or --array=0-3 (work dirs WORK_DIR/0 ... 3)
#
# The port comes from the job id. --dry-run prints the command or the file.
dry=()
if [ "$1" = --dry-run ]; then dry=(--dry-run); shift; fi
if [ $# -lt 4 ]; then
    echo "usage: $0 [--dry-run] PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]" >&2
    exit 2
fi
work_dir=$4 resume=()
if [ "${SBATCH:-0}" = 1 ]; then
    # shellcheck disable=SC2016  # the batch file fills it in
    work_dir='$WORK_DIR'
    if [[ " ${*:5}" != *' --resume'* ]]; then resume=(--resume auto); fi
fi
exec "$(dirname "${BASH_SOURCE[0]}")/slurm.sh" "${dry[@]}" "$1" "$2" "$4" train.py "$3" --work-dir "$work_dir" \
    "${resume[@]}" "${@:5}"
