#!/usr/bin/python3
"""Writes 1,000 patterns of the kind that an HTTP intrusion detection system looks for, one a line.

Usage: make_patterns.py > patterns.txt

Combined from short lists of our own; nothing is taken from a rule set. The same output each time.
Each line is a pattern as it is, printable ASCII, 8 to 40 characters, without blanks at its ends,
and none is part of another. None has a character that means something in a
pattern file (backslash, |, #, @).
"""

import itertools
import random
import sys

PATTERN_COUNT = 1000

TARGETS = ["passwd", "shadow", "hosts", "group", "issue", "fstab", "crontab", "sudoers"]
PANELS = [
    "admin",
    "setup",
    "install",
    "manager",
    "console",
    "config",
    "debug",
    "status",
    "backup",
    "upload",
    "phpinfo",
    "login",
    "shell",
    "test-cgi",
    "export",
    "import",
]
SUFFIXES = [".php", ".asp", ".jsp", ".cgi", ".bak", ".old", ".sql", ".tar.gz"]
COLUMNS = ["user", "pass", "email", "token", "card_no", "secret", "hash", "role"]
TABLES = ["users", "accounts", "customers", "orders", "sessions", "staff"]
COMMANDS = [
    "id",
    "uname -a",
    "wget http://",
    "curl -s http://",
    "nc -e /bin/sh ",
    "cat /etc/",
    "chmod 777 ",
    "ping -c 9 ",
    "rm -rf /var/",
    "whoami",
    "ls -la /",
]
EVENTS = ["onload", "onerror", "onclick", "onfocus", "onmouseover", "ontoggle", "onpageshow"]
SINKS = [
    "document.cookie",
    "document.location",
    "eval(atob(",
    "window.name",
    "localStorage.token",
    "fetch('//",
    "top.location",
]
SCANNERS = ["probe", "crawl", "sweep", "enum", "brute", "fuzz", "leech", "harvest"]
HOSTS = ["ldap", "rmi", "dns", "iiop", "nis", "corba"]
PHP_CALLS = ["eval", "assert", "system", "passthru", "shell_exec", "popen", "proc_open", "include"]
PHP_SOURCES = ["$_GET", "$_POST", "$_COOKIE", "$_REQUEST"]


def candidates():
    """One iterator a kind of attack."""
    product = itertools.product
    return [
        ("../" * depth + "etc/" + target for depth, target in product(range(2, 7), TARGETS)),
        ("%2e%2e%2f" * depth + "etc%2f" + target for depth, target in product((1, 2, 3), TARGETS)),
        (f"GET /{a}/{b}{suffix}" for a, b, suffix in product(PANELS, PANELS, SUFFIXES) if a != b),
        (
            f"' UNION SELECT {a},{b} FROM {t}"
            for a, b, t in product(COLUMNS, COLUMNS, TABLES)
            if a < b
        ),
        (f"' OR {n}={n} -- {column}" for n, column in product(range(1, 10), COLUMNS)),
        (f"'; DROP TABLE {t}; --{n}" for t, n in product(TABLES, range(6))),
        (f"AND SLEEP({n}) AND '{column}'='" for n, column in product(range(2, 10), COLUMNS)),
        (
            f"{mark}{command}" + "tmp" * (len(command) < 8)
            for mark, command in product(
                (";/bin/", "%7C/bin/", "`/bin/", "$(/bin/", "&&/bin/"), COMMANDS
            )
        ),
        (f"<img src=x{n} {event}={sink}" for n, event, sink in product(range(3), EVENTS, SINKS)),
        (f"<svg/{event}={sink}" for event, sink in product(EVENTS, SINKS)),
        (f"<script>{sink}+{n}" for sink, n in product(SINKS, range(8))),
        (
            f"User-Agent: {a}{b}/{n}."
            for a, b, n in product(SCANNERS, SCANNERS, range(1, 4))
            if a != b
        ),
        (f"${{jndi:{host}://{panel}" for host, panel in product(HOSTS, PANELS)),
        (
            f"<?php {call}({source}[{n}"
            for call, source, n in product(PHP_CALLS, PHP_SOURCES, range(3))
        ),
        (f"X-Debug-{panel.title()}: {n}0000" for panel, n in product(PANELS, range(1, 6))),
        (
            f"MZ{n:02x}payload-{kind}"
            for n, kind in product(range(32), ("dropper", "loader", "stage2"))
        ),
    ]


def main():
    draw = random.Random(1)
    kinds = []
    for kind in candidates():
        kind = list(kind)
        draw.shuffle(kind)
        kinds.append(kind)
    chosen = []
    for kind in itertools.cycle(kinds):  # In turn, so that no kind fills the list.
        if len(chosen) == PATTERN_COUNT:
            break
        if not kind:
            continue
        pattern = kind.pop().strip()
        if set(pattern) & set("\\|#@"):
            raise ValueError(pattern)
        if 8 <= len(pattern) <= 40 and not any(pattern in c or c in pattern for c in chosen):
            chosen.append(pattern)
    sys.stdout.write("".join(pattern + "\n" for pattern in chosen))


if __name__ == "__main__":
    main()
