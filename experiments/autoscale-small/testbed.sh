#!/usr/bin/env bash
# The real run beside its simulation: both in one plot, and how far apart their plateaus are.
# ./run calls it with the folder of results, as root, and with SLUICE set.
set -euo pipefail

results=${1:?usage: testbed.sh RESULTS}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mkdir -p "$results"
"$SLUICE" sim "$here/autoscale-small.yaml" --results "$results/simulation"
"$SLUICE" testbed "$here/autoscale-small.yaml" --results "$results/testbed"
"$SLUICE" plot "$results/simulation" "$results/testbed" -o "$results/plot"
/usr/bin/python3 "$here/../../scripts/plateau.py" "$results/simulation" "$results/testbed" 10 20
