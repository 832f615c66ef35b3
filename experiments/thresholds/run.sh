#!/usr/bin/env bash
# Sweeps the up threshold and its window over ten seeds. Called by ./run thresholds, with the results folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=$1
"$SLUICE" sim "$here/thresholds.yaml" --results "$results" --seeds 1..10 \
  --set scaling.up.occupancy=0.3,0.5,0.7,0.9 --set 'scaling.up.for=10 ms,100 ms,400 ms'
"$SLUICE" plot "$results" --title "What do an earlier and a later scale-up cost in drops and in core-seconds?" \
  --x scaling.up.occupancy --y drops.ring_full,services.inspect.core_seconds
