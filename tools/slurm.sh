#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: srun with one task for each GPU, or, with SBATCH=1, a file for sbatch that
# does so.
#
#   tools/slurm.sh [--dry-run] PARTITION JOB_NAME FOLDER TOOL [arguments of the tool]
#
# FOLDER is where the file and the log of a batch job go. --dry-run prints what would be run, or the file, and stops.
dry=
if [ "$1" = --dry-run ]; then dry=1; shift; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
partition=$1 job=$2 folder=$3 tool=$4
shift 4

gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
# Nodes without GPUs, and clusters that do not count them, say GPUS_PER_NODE=0; GPUS is the number of processes there, too.
most=$((gpus_per_node > 0 ? gpus_per_node : 8))
tasks_per_node=${TASKS_PER_NODE:-$((gpus < most ? gpus : most))}
resources=(--partition="$partition" --job-name="$job" --ntasks="$gpus" --ntasks-per-node="$tasks_per_node"
           --cpus-per-task="${CPUS_PER_TASK:-5}")
if [ "$gpus_per_node" -gt 0 ]; then resources+=(--gres=gpu:"$gpus_per_node"); fi

# SRUN_ARGS and SBATCH_ARGS are split into words on purpose.
# shellcheck disable=SC2206
srun_args=(--kill-on-bad-exit=1 $SRUN_ARGS) sbatch_args=($SBATCH_ARGS)
command=("${PYTHON:-python}" -u "$here/$tool" "$@" --launcher slurm)

if [ "${SBATCH:-0}" != 1 ]; then
    if [ -n "$dry" ]; then printf '%q ' srun "${resources[@]}" "${srun_args[@]}" "${command[@]}"; echo; exit; fi
    exec srun "${resources[@]}" "${srun_args[@]}" "${command[@]}"
fi

# slurm_train.sh names the work dir $WORK_DIR; in an array each task has a folder of its own in it.
write() {
    local log=slurm-%j.out
    if [[ " $SBATCH_ARGS" == *' --array'* ]]; then log=slurm-%A_%a.out; fi
    echo '#!/usr/bin/env bash'
    for option in "${resources[@]}" --requeue --signal="${SIGNAL:-USR1@120}" --open-mode=append \
        --output="$folder/$log" "${sbatch_args[@]}"; do
        if [[ $option == *' '* ]]; then option="${option%%=*}=\"${option#*=}\""; fi
        echo "#SBATCH $option"
    done
    # Several processes with a thread for every core each would only wait for one another.
    echo "export OMP_NUM_THREADS=\${OMP_NUM_THREADS:-1}"
    printf 'WORK_DIR=%q${SLURM_ARRAY_TASK_ID:+/$SLURM_ARRAY_TASK_ID}\n' "$folder"
    printf 'exec srun --cpus-per-task=%q' "${CPUS_PER_TASK:-5}"
    for word in "${srun_args[@]}" "${command[@]}"; do
        if [ "$word" = '$WORK_DIR' ]; then printf ' "$WORK_DIR"'; else printf ' %q' "$word"; fi
    done
    echo
}
if [ -n "$dry" ]; then write; exit; fi
mkdir -p "$folder" && write > "$folder/job.sbatch" && exec sbatch "$folder/job.sbatch"
