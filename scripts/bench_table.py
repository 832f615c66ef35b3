#!/usr/bin/python3
"""Prints the rows of `sluice bench --json FILE` as a Markdown table, for the README.

Usage: bench_table.py FILE [ID-PREFIX...]

Rows whose id begins with one of the prefixes, or all that have a peer. A missed requirement is
bold.
"""

import json
import sys


def number(value):
    return "" if value is None else f"{value:.3g}"


def cells(row):
    required = row["required"]
    ratio = number(row["ratio"])
    if required is not None and (row["ratio"] is None or row["ratio"] < required):
        ratio = f"**{ratio or 'none'}**"
    peer = f"{row['peer']}: {number(row['peer_value'])}" if row["peer"] else ""
    value = f"{number(row['value'])} {row['unit']}"
    return [f"`{row['id']}`", value, peer, ratio, number(required), number(row["aim"])]


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = json.load(file)
    prefixes = tuple(sys.argv[2:])
    print("| row | measured | beside | ratio | at least | aim |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        wanted = row["id"].startswith(prefixes) if prefixes else row["peer"] is not None
        if wanted:
            print("| " + " | ".join(cells(row)) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
