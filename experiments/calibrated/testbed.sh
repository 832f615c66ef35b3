#!/usr/bin/env bash
# Measures this machine's costs, simulates with them, and lets a real host do the same beside it.
# ./run calls it with the folder of results, and with SLUICE set.
set -euo pipefail

results=${1:?usage: testbed.sh RESULTS}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
file=$here/calibrated.yaml

mkdir -p "$results"
"$SLUICE" bench calibrate --quick --out "$results/costs.yaml" "$file"
"$SLUICE" sim "$file" --costs "$results/costs.yaml" --results "$results/simulation"

# The simulator's own packets, for the real host to read again and again.
"$SLUICE" sim "$file" --set run.duration='5 ms' --set traffic.0.rate='1 Gbps' \
  --set 'run.captures=[h1.p1]' --results "$results/frames"
cat >"$results/site.yaml" <<END
hosts:
  h1:
    metrics: off
    cores: {workers: [0], instances: [1]}
    ports:
      p0: {vdev: "net_pcap0,rx_pcap=$results/frames/captures/h1.p1.pcap,tx_pcap=/dev/null,infinite_rx=1"}
      p1: {vdev: "net_null1,no-rx=1"}
END
"$SLUICE" host "$file" --name h1 --site "$results/site.yaml" --run-dir "$results/run" \
  --results "$results/host" &
host=$!
sleep 6 # What is measured, from 2 s to 5 s of it, and a second for the start.
kill "$host"
wait "$host"
"$SLUICE" plot "$results/simulation" "$results/host" -o "$results/plot"
/usr/bin/python3 "$here/../../scripts/plateau.py" "$results/simulation" "$results/host" 2 5
