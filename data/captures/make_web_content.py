#!/usr/bin/python3
"""Makes a small web site and the visits to it, for make-web.sh. The same each time.

Usage: make_web_content.py PATTERNS DIR

Writes DIR/site/ (pages, style sheets, scripts, JSON, PNG and SVG images) and DIR/visits/NNN.curl,
one curl configuration for each connection. About 1 % of the files that visitors ask for contain a
pattern of PATTERNS; no other file does (checked).
"""

import json
import pathlib
import random
import struct
import sys
import zlib

VISIT_COUNT = 330
CLIENT_COUNT = 24
SUSPICIOUS_PER_MILLE = 10

WORDS = (
    "amber basin cedar delta ember fjord grove harbor island juniper kettle lantern meadow north "
    "orchard pebble quarry river saddle timber upland valley willow yarrow zephyr and the of in "
    "with under over near past toward a new old quiet early late bright small open"
).split()
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
    "curl/7.88.1",
]


class Site:
    def __init__(self, draw, patterns):
        self.draw = draw
        self.patterns = patterns

    def text(self, word_count):
        words = [self.draw.choice(WORDS) for _ in range(word_count)]
        return " ".join(words).capitalize() + "."

    def page(self, number, pattern=""):
        body = "\n".join(
            f'<h2 id="s{i}">{self.text(4)}</h2>\n'
            f'<p class="lead">{self.text(self.draw.randint(30, 90))}'
            f' <a href="/articles/{self.draw.randint(1, 40)}.html">{self.text(3)}</a></p>'
            for i in range(self.draw.randint(2, 12))
        )
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>Article {number}: {self.text(5)}</title>\n"
            f'<link rel="stylesheet" href="/css/{number % 4}.css">\n'
            f'<script defer src="/js/{number % 5}.js"></script>\n</head>\n<body>\n'
            f"{body}\n<!-- {pattern} -->\n<footer>{self.text(12)}</footer>\n</body>\n</html>\n"
        )

    def style(self):
        return "".join(
            f".{self.draw.choice(WORDS)}-{i} {{ margin: {self.draw.randint(0, 40)}px; "
            f"color: #{self.draw.getrandbits(24):06x}; "
            f"font-size: {self.draw.randint(80, 180)}%; }}\n"
            for i in range(self.draw.randint(30, 90))
        )

    def script(self):
        return "'use strict';\n" + "".join(
            f"function {self.draw.choice(WORDS)}_{i}(node, count) {{\n"
            f"  if (count > {self.draw.randint(1, 99)}) "
            f"return node.dataset.{self.draw.choice(WORDS)};\n"
            f"  node.textContent = '{self.text(6)}';\n"
            f"  return count + {self.draw.randint(1, 9)};\n}}\n"
            for i in range(self.draw.randint(10, 50))
        )

    def records(self, pattern=""):
        items = [
            {
                "id": self.draw.getrandbits(32),
                "name": self.draw.choice(WORDS),
                "price": self.draw.randint(100, 99999) / 100,
                "note": self.text(8),
            }
            for _ in range(self.draw.randint(3, 40))
        ]
        if pattern:
            items[-1]["note"] = pattern
        return json.dumps({"items": items, "next": None}, indent=1) + "\n"

    def png(self):
        side = self.draw.randint(16, 48)
        pixels = b"".join(b"\0" + self.draw.randbytes(3 * side) for _ in range(side))

        def chunk(kind, data):
            return (
                struct.pack(">I", len(data))
                + kind
                + data
                + struct.pack(">I", zlib.crc32(kind + data))
            )

        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(pixels))
            + chunk(b"IEND", b"")
        )

    def svg(self):
        shapes = "".join(
            f'<circle cx="{self.draw.randint(0, 99)}" cy="{self.draw.randint(0, 99)}" '
            f'r="{self.draw.randint(1, 20)}" fill="#{self.draw.getrandbits(24):06x}"/>\n'
            for _ in range(self.draw.randint(5, 25))
        )
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99 99">\n{shapes}</svg>\n'

    def files(self):
        """Paths and their bytes; the suspicious ones are returned apart."""
        plain = {"index.html": self.page(0)}
        for i in range(1, 41):
            plain[f"articles/{i}.html"] = self.page(i)
        for i in range(4):
            plain[f"css/{i}.css"] = self.style()
        for i in range(5):
            plain[f"js/{i}.js"] = self.script()
        for i in range(20):
            plain[f"api/items-{i}.json"] = self.records()
        for i in range(16):
            plain[f"img/{i}.png"] = self.png()
            plain[f"img/{i}.svg"] = self.svg()
        suspicious = {}
        for i, pattern in enumerate(self.draw.sample(self.patterns, 8)):
            path = f"articles/guest-{i}.html" if i % 2 else f"api/guest-{i}.json"
            suspicious[path] = self.page(i, pattern) if i % 2 else self.records(pattern)
        return (
            {path: as_bytes(data) for path, data in plain.items()},
            {path: as_bytes(data) for path, data in suspicious.items()},
        )


def as_bytes(data):
    return data if isinstance(data, bytes) else data.encode("ascii")


def visit(draw, client, plain, suspicious, counter):
    """A curl configuration: one connection with one request, or several over keep-alive."""
    request_count = 1 if draw.random() < 0.8 else draw.randint(3, 7)
    host = "[fd00:5::1]" if client % 8 == 7 else "10.5.0.1"
    address = f"fd00:5::{16 + client:x}" if host[0] == "[" else f"10.5.0.{16 + client}"
    agent = AGENTS[client % len(AGENTS)]
    blocks = []
    for i in range(request_count):
        counter[0] += 1
        # Every 100th request, by count and not by chance: a small capture would miss the mark.
        wants_suspicious = counter[0] % (1000 // SUSPICIOUS_PER_MILLE) == 50
        path = draw.choice(suspicious if wants_suspicious else plain)
        lines = [
            f'url = "http://{host}/{path}"',
            "output = /dev/null",
            "silent",
            "show-error",
            "fail",
            f"interface = {address}",
            f'user-agent = "{agent}"',
            'header = "Accept-Language: en"',
            f'header = "Referer: http://{host}/articles/{draw.randint(1, 40)}.html"',
            f'cookie = "session={draw.getrandbits(96):024x}"',
        ]
        if i == request_count - 1:
            lines.append('header = "Connection: close"')
        if (
            not wants_suspicious and draw.random() < 0.12
        ):  # A form or a document sent to the server.
            lines[0] = f'url = "http://{host}/submit"'
            lines.append(
                f'data = "title={draw.choice(WORDS)}&text='
                + "+".join(draw.choice(WORDS) for _ in range(draw.randint(20, 400)))
                + '"'
            )
        blocks.append("\n".join(lines))
    return "\nnext\n".join(blocks) + "\n"


def main():
    patterns = pathlib.Path(sys.argv[1]).read_text(encoding="ascii").splitlines()
    target = pathlib.Path(sys.argv[2])
    draw = random.Random(2)
    plain, suspicious = Site(draw, patterns).files()
    for path, data in {**plain, **suspicious}.items():
        found = sum(pattern.encode() in data for pattern in patterns)
        if found != (path in suspicious):
            sys.exit(f"make_web_content.py: {path}: {found} patterns in it")
        place = target / "site" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (target / "visits").mkdir()
    counter = [0]
    # By size: many small files and few large ones, as sites have it.
    ranked = sorted(plain, key=lambda path: len(plain[path]))
    popular = ranked + ranked[: len(ranked) // 2]
    for i in range(VISIT_COUNT):
        text = visit(draw, draw.randrange(CLIENT_COUNT), popular, sorted(suspicious), counter)
        (target / "visits" / f"{i:03}.curl").write_text(text, encoding="ascii")
    print(f"{len(plain) + len(suspicious)} files, {VISIT_COUNT} connections, {counter[0]} requests")


if __name__ == "__main__":
    main()
