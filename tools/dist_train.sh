#!/usr/bin/env bash
# Train on the GPUs of one or more machines (processes on CPUs where there is no GPU).
#
#   tools/dist_train.sh CONFIG GPUS [options of train.py]
#
# PORT: default, a free one is chosen. Several machines: run it on each with the same MASTER_ADDR and PORT,
# NNODES=number of machines, NODE_RANK=0, 1 ...
#
# A signal (SIGTERM, SIGINT, SIGUSR1, SIGUSR2) to this command reaches all processes: they save together and leave with
# exit code 75; --resume goes on.
exec "$(dirname "${BASH_SOURCE[0]}")/launch.sh" train.py "$@"
