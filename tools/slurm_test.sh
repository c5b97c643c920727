#!/usr/bin/env bash
# Evaluate on a Slurm cluster.
#
#   tools/slurm_test.sh [--dry-run] PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]
#
# Environment as for slurm_train.sh; with SBATCH=1 the file and the log go to the current folder.
dry=()
if [ "$1" = --dry-run ]; then dry=(--dry-run); shift; fi
if [ $# -lt 4 ]; then
    echo "usage: $0 [--dry-run] PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/slurm.sh" "${dry[@]}" "$1" "$2" . test.py "${@:3}"
