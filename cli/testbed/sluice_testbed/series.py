"""Rows of series.csv of several programs, put together as one program would have written them."""

import csv

INTERVAL_NS = 100_000_000
HEADER = ["time", "entity", "metric", "value", "unit"]


def parse_seconds_ns(text):
    """Exactly: series have up to nine decimals."""
    negative = text.startswith("-")
    whole, _, fraction = text.lstrip("-").partition(".")
    ns = int(whole) * 10**9 + int((fraction + "0" * 9)[:9])
    return -ns if negative else ns


def seconds_text(ns):
    whole, fraction = divmod(ns, 10**9)
    return f"{whole}.{fraction:09}".rstrip("0").rstrip(".")


def read(path, shift_ns=0):
    """The rows of a file as (time in ns, entity, metric, value, unit), moved by `shift_ns`."""
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        next(rows, None)
        for row in rows:
            if len(row) == len(HEADER):  # A killed writer may have left half a line.
                yield parse_seconds_ns(row[0]) + shift_ns, row[1], row[2], row[3], row[4]


def spread(spans, duration_ns):
    """Bits per second in each interval of a run, of what came in spans (begin, end, bytes), each
    taken as even."""
    count = duration_ns // INTERVAL_NS
    sums = [0.0] * count
    for begin, end, size in spans:
        end = max(end, begin + 1)
        first = max(0, begin // INTERVAL_NS)
        for index in range(first, min(count, end // INTERVAL_NS + 1)):
            left = max(begin, index * INTERVAL_NS)
            right = min(end, (index + 1) * INTERVAL_NS)
            if right > left:
                sums[index] += size * (right - left) / (end - begin)
    return [round(total * 8 * 10**9 / INTERVAL_NS) for total in sums]


class Series:
    """All rows of a run, by time; rows of one time stay in the order in which they came."""

    def __init__(self, duration_ns):
        self.duration_ns = duration_ns
        self.rows = {}  # (time, entity, metric): [value, unit]

    def add(self, at_ns, entity, metric, value, unit):
        if 0 < at_ns <= self.duration_ns:
            self.rows[at_ns, entity, metric] = [value, unit]

    def add_to(self, at_ns, entity, metric, value, unit):
        """Adds to what another program says of the same: both sides of one replay, say."""
        row = self.rows.get((at_ns, entity, metric))
        if row is None:
            self.add(at_ns, entity, metric, value, unit)
        else:
            row[0] = int(row[0]) + int(value)

    def add_curve(self, values, entity, metric, unit):
        for index, value in enumerate(values):
            self.add((index + 1) * INTERVAL_NS, entity, metric, value, unit)

    def add_sum(self, prefix, metric, entity, unit):
        """Rows of the sum over all entities with a prefix, as `port:all` has."""
        sums = {}
        for (at_ns, each, name), (value, _) in self.rows.items():
            if name == metric and each.startswith(prefix):
                sums[at_ns] = sums.get(at_ns, 0) + int(value)
        for at_ns, value in sums.items():
            self.add(at_ns, entity, metric, value, unit)

    def write(self, path):
        with open(path, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(HEADER)
            for (at_ns, entity, metric), (value, unit) in sorted(
                    self.rows.items(), key=lambda item: item[0][0]):
                writer.writerow([seconds_text(at_ns), entity, metric, value, unit])
