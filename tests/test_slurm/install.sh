#!/usr/bin/env bash
# Install Debian's Slurm where it is missing and may be installed; the tests skip themselves, and say why, where it may not.
if PATH=$PATH:/usr/sbin command -v slurmctld slurmd munged sbatch > /dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "no Slurm here, and no way to install it: needs root and apt-get" >&2
    exit 0
fi
# Only the programs: the tests start daemons of their own, so the package must not.
printf '#!/bin/sh\nexit 101\n' > /tmp/policy-rc.$$ && chmod +x /tmp/policy-rc.$$
[ -e /usr/sbin/policy-rc.d ] || { cp /tmp/policy-rc.$$ /usr/sbin/policy-rc.d; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
rm -f /tmp/policy-rc.$$
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
