#!/usr/bin/env bash
# Evaluate on the GPUs of one or more machines (processes on CPUs where there is no GPU).
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]
#
# Environment as for dist_train.sh.
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options of test.py]" >&2
    exit 2
fi
exec "$(dirname "${BASH_SOURCE[0]}")/launch.sh" test.py "$1" "$3" "$2" "${@:4}"
