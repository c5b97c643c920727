#!/usr/bin/env bash
# Install Debian's Slurm where it is missing and may be installed; the tests skip themselves, and say why, where it may not.
there() { PATH=$PATH:/usr/sbin:/usr/local/sbin type slurmctld slurmd munged srun sbatch scontrol > /dev/null 2>&1; }
without() { echo "no Slurm here, its tests will skip: $1" >&2; exit 0; }
if there; then exit 0; fi
if [ "$(id -u)" != 0 ]; then without "installing it needs root"; fi
if ! command -v apt-get > /dev/null; then without "installing it needs apt-get"; fi

# Only the programs: the tests start daemons of their own, so the packages must not.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
timeout 300 apt-get update -qq || echo "the lists of packages could not all be fetched; trying with those that are there" >&2
timeout 600 apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null || without "apt-get cannot install slurm-wlm and munge"
there || without "slurm-wlm and munge are installed, but not all their programs are found"
