#!/usr/bin/python3
"""Prints a short table of a result folder and where its plots are.

Usage: summary.py DIR. Reads every summary.json at or below DIR (a sweep has one a run); of more
than one, only the number is said. Exit 1 when there is none: then the run did not end well.
"""

import json
import pathlib
import sys

LINE_COUNT_MAX = 24


def rows(value, name=""):
    """Flattens numbers and texts of nested maps to (dotted name, value); lists are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from rows(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, (int, float, str)):
        yield name, value


def shown(value):
    if isinstance(value, bool) or isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}"


def main():
    folder = pathlib.Path(sys.argv[1])
    summaries = sorted(folder.rglob("summary.json"))
    if not summaries:
        print(
            f"summary.py: {folder}: no summary.json; expected the folder of a run", file=sys.stderr
        )
        return 1
    if len(summaries) == 1:
        table = list(rows(json.loads(summaries[0].read_text(encoding="utf-8"))))
        width = max((len(name) for name, _ in table[:LINE_COUNT_MAX]), default=0)
        for name, value in table[:LINE_COUNT_MAX]:
            print(f"{name:<{width}}  {shown(value):>16}")
        if len(table) > LINE_COUNT_MAX:
            print(f"... and {len(table) - LINE_COUNT_MAX} more in {summaries[0]}")
    else:
        print(f"{len(summaries)} runs")
    print(f"results  {folder}")
    for plot in sorted(folder.rglob("*.svg")):
        print(f"plot     {plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
