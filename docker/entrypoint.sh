#!/bin/sh
# Starts `larimar` with as many threads as the container may use: PyTorch counts the host's cores
# and would fight itself over a few of them. A LARIMAR_THREADS that is set stays.
set -eu
limit=${CPU_MAX_FILE:-/sys/fs/cgroup/cpu.max}
if [ -z "${LARIMAR_THREADS:-}" ] && [ -r "$limit" ]; then
  read -r quota period <"$limit"
  if [ "$quota" != max ]; then
    LARIMAR_THREADS=$(((quota + period - 1) / period))
    export LARIMAR_THREADS
  fi
fi
exec larimar "$@"
