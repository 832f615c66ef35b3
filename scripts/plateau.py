#!/usr/bin/python3
"""Prints the throughput of two runs on a plateau of their load, and how far apart they are.

Usage: plateau.py SIMULATED MEASURED FROM TO, the last two in seconds of the run. Exit 1 when a
folder has no rows of that time: then a run did not get there.
"""

import csv
import pathlib
import sys

ALLOWED_PERCENT = 15


def mean_bps(folder, begin, end):
    """What came out of all ports, on average; None without rows."""
    with open(pathlib.Path(folder) / "series.csv", newline="", encoding="utf-8") as stream:
        values = [float(row["value"]) for row in csv.DictReader(stream)
                  if row["entity"] == "port:all" and row["metric"] == "delivered_bps"
                  and begin < float(row["time"]) <= end]
    return sum(values) / len(values) if values else None


def compare(simulated, measured, begin, end):
    """The lines to print, and the exit code."""
    means = [mean_bps(folder, begin, end) for folder in (simulated, measured)]
    for folder, mean in zip((simulated, measured), means):
        if mean is None:
            return f"plateau: {folder}: no throughput between {begin:g} s and {end:g} s", 1
    difference = 100 * (means[1] - means[0]) / means[0] if means[0] else float("inf")
    verdict = "within" if abs(difference) <= ALLOWED_PERCENT else "NOT within"
    return (f"plateau {begin:g} s to {end:g} s: simulated {means[0] * 1e-6:.2f} Mbps, measured "
            f"{means[1] * 1e-6:.2f} Mbps, {difference:+.1f} %: {verdict} {ALLOWED_PERCENT} %"), 0


def main():
    if len(sys.argv) != 5:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    text, code = compare(*sys.argv[1:3], *map(float, sys.argv[3:]))
    print(text, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
