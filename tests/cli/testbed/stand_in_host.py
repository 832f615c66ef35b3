#!/usr/bin/python3
"""Stands in for `sluice host` where the testbed itself is tested: no DPDK, no network functions.

Passes every frame from veth0 to veth1 and back, answers on its control socket, has one process
that calls itself instance 1 of every service, and leaves results. STAND_IN says what it does wrong:
`exit-70`, `dies`, `never-ready`, `refuses`.
"""

import json
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import time

WRONG = os.environ.get("STAND_IN", "")
ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 64 << 20  # For a machine that does not let us run for a while.


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def open_wire(interface):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    wire.bind((interface, ETH_P_ALL))
    wire.setblocking(False)
    return wire


class Host:
    def __init__(self):
        self.name = option("--name")
        self.results = pathlib.Path(option("--results"))
        self.zero = int(option("--time-zero"))
        self.results.mkdir()
        site = json.loads(pathlib.Path(option("--site")).read_text(encoding="utf-8"))
        self.ports = site["hosts"][self.name]["ports"]
        self.wires = [open_wire(port["interface"]) for port in self.ports.values()]
        text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
        self.services = re.findall(r"^  (\w+): \{function", text, re.M)
        # Held: a pipe that closes with us, by which it ends.
        self.instance = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        self.received = 0
        self.running = True
        self.selector = selectors.DefaultSelector()
        for number, wire in enumerate(self.wires):
            self.selector.register(wire, selectors.EVENT_READ,
                                   lambda number=number: self.forward(number))
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.control.bind(os.path.join(option("--run-dir"), f"{self.name}.control"))
        self.control.listen()
        self.selector.register(self.control, selectors.EVENT_READ, self.answer)

    def forward(self, number):
        other = self.wires[number ^ 1]
        try:
            while True:
                frame = self.wires[number].recv(65536)
                other.send(frame)
                self.received += 1
        except BlockingIOError:
            pass

    def answer(self):
        stream, _ = self.control.accept()
        with stream:
            request = json.loads(stream.makefile().readline())
            alive = self.instance.poll() is None
            instances = [{"name": f"{each}.1", "service": each, "number": 1, "state": "running",
                          "pid": self.instance.pid} for each in self.services if alive]
            status = {"ok": True, "ready": WRONG != "never-ready", "host": self.name,
                      "ports": [{"name": "p0", "received_packets": self.received}],
                      "instances": instances}
            if request["do"] == "apply" and WRONG == "refuses":
                status = {"ok": False, "error": "as it was told"}
            stream.sendall(json.dumps(status).encode() + b"\n")

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "running", False))
        while self.running:
            for key, _ in self.selector.select(0.01):
                key.data()
            if WRONG == "dies" and self.received > 0:
                print("the stand-in dies as it was told", file=sys.stderr)
                sys.exit(1)
        self.instance.stdin.close()
        self.instance.wait()
        self.write()

    def write(self):
        now = time.monotonic_ns() - self.zero
        rows = ["time,entity,metric,value,unit"]
        rows += [f"{tick / 10},host:{self.name},flows,7,flows"
                 for tick in range(1, now // 100_000_000 + 1)]
        (self.results / "series.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (self.results / "events.jsonl").write_text(
            '{"at_ns":0,"kind":"instance_started","host":"h1"}\n', encoding="utf-8")
        summary = {"received_packets": self.received, "dropped_packets": 0, "flows_started": 7,
                   "drops": {}, "services": {}, "chains": {}}
        (self.results / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


if __name__ == "__main__":
    Host().run()
    sys.exit(70 if WRONG == "exit-70" else 0)
