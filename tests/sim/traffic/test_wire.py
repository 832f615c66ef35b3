#!/usr/bin/python3
"""Sees that sluice-traffic puts on a real interface what it says, and counts what arrives there.

Usage: test_wire.py SLUICE-TRAFFIC. Needs root and network namespaces; without, it ends with 77.
"""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TRAFFIC = ""
SKIPPED = 77
DEPLOYMENT = """
name: wire
hosts:
  h1: {{cores: 4, clock: 2 GHz, ports: {{p0: {{rate: 10 Gbps}}, p1: {{rate: 10 Gbps}}}}}}
services:
  pass: {{function: forward}}
chains:
  all: {{from: h1.p0, to: h1.p1, match: {{}}, steps: [pass]}}
traffic:
{traffic}
faults: [{faults}]
run: {{duration: {duration}, seed: 1, captures: [h1.p1]}}
"""
SYNTHETIC = """
  - {name: udp, into: h1.p0, kind: poisson, rate: [[0 s, 1 Mbps], [1 s, 20 Mbps]], size: 200 B}
  - {name: tcp, into: h1.p0, kind: constant, rate: 5 Mbps, size: 500 B, proto: tcp, flows: 9}
"""


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def cannot_run():
    """Why not, or an empty text."""
    if os.geteuid() != 0:
        return "needs root"
    name = f"sluice-try-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "network namespaces cannot be made: " + done.stderr.strip()
    ip("netns", "delete", name)
    return ""


def pcap_frames(path):
    """The frames of a little-endian pcap file."""
    data, at, frames = path.read_bytes(), 24, []
    while at < len(data):
        length, = struct.unpack_from("<I", data, at + 8)
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def write_pcap(path, frames, gap_us):
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, frame in enumerate(frames):
        at = number * gap_us
        out.append(struct.pack("<IIII", at // 10**6, at % 10**6, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(out))


class Wire(unittest.TestCase):
    """Two namespaces with an interface each, and a wire between them."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-wire-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.spaces = [f"sluice-wire{os.getpid()}-{end}" for end in "ab"]
        for space in self.spaces:
            ip("netns", "add", space)
            self.addCleanup(ip, "netns", "delete", space)
            # Else the kernel's own frames would be among ours.
            subprocess.run(["ip", "netns", "exec", space, "sysctl", "-qw",
                            "net.ipv6.conf.all.disable_ipv6=1",
                            "net.ipv6.conf.default.disable_ipv6=1"], check=True)
        ip("link", "add", "wire", "netns", self.spaces[0], "type", "veth", "peer", "name", "wire",
           "netns", self.spaces[1])
        for space in self.spaces:
            ip("-n", space, "link", "set", "wire", "up")

    def deployment(self, traffic, faults="", duration="1 s"):
        path = self.folder / "wire.yaml"
        path.write_text(DEPLOYMENT.format(traffic=traffic, faults=faults, duration=duration))
        return path

    def start(self, end, file, *arguments, interface="wire"):
        command = ["ip", "netns", "exec", self.spaces[end], TRAFFIC, str(file), "--interface",
                   interface, "--results", str(self.folder / "ab"[end]), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(stream.close)
        return process

    def both(self, file):
        """Plays `file` with p0 at one end and p1 at the other: what each of them summed up."""
        ends = [self.start(end, file, "--port", f"h1.p{end}", "--time-zero", "-")
                for end in (0, 1)]
        for process in ends:
            self.assertEqual(process.stdout.readline(), "ready\n")
        zero = time.monotonic_ns() + 100_000_000
        summaries = []
        for process in ends:
            process.stdin.write(f"{zero}\n")
            process.stdin.flush()
        for process in ends:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, err), (0, ""))
            summaries.append(json.loads(out))
        return summaries

    def series(self, end):
        lines = (self.folder / "ab"[end] / "series.csv").read_text().splitlines()
        return [line.split(",") for line in lines[1:]]

    def test_what_is_offered_is_on_the_wire_and_arrives(self):
        sent, arrived = self.both(self.deployment(SYNTHETIC))
        self.assertEqual(set(sent["sources"]), {"udp", "tcp"})
        for name, source in sent["sources"].items():
            self.assertGreater(source["packets"], 500, name)
            self.assertEqual(source["refused"], 0, name)
            # All of these frames are long enough for a probe.
            self.assertEqual(arrived["arrived"][name]["packets"], source["packets"], name)
            self.assertGreater(arrived["arrived"][name]["latency_p50_ns"], 0, name)
        packets = sum(source["packets"] for source in sent["sources"].values())
        size = sum(source["bytes"] for source in sent["sources"].values())
        self.assertEqual(sent["sources"]["tcp"]["bytes"], 500 * sent["sources"]["tcp"]["packets"])
        self.assertEqual(sent["sources"]["tcp"]["packets"], 1250)  # 5 Mbps for a second.
        self.assertEqual((sent["counted"]["tx_packets"], sent["counted"]["tx_bytes"]),
                         (packets, size))
        self.assertEqual((arrived["counted"]["rx_packets"], arrived["counted"]["rx_bytes"]),
                         (packets, size))
        self.assertEqual((arrived["received"]["packets"], arrived["received"]["bytes"]),
                         (packets, size))
        self.assertEqual(arrived["received"]["missed"], 0)
        self.assertEqual(sent["received"]["packets"], 0)

    def test_the_series_has_the_rows_of_a_simulation(self):
        self.both(self.deployment(SYNTHETIC))
        rows = self.series(0)
        self.assertEqual({row[1] for row in rows if row[2] == "offered_bps"},
                         {"traffic:udp", "traffic:tcp"})
        rows += self.series(1)
        self.assertEqual({row[1] for row in rows if row[2] == "delivered_bps"},
                         {"port:h1.p0", "port:h1.p1"})
        self.assertIn(["1", "port:h1.p1"], [row[:2] for row in rows])
        self.assertTrue(all(row[4] in ("bit/s", "ns") for row in rows))

    def test_a_replay_is_byte_for_byte_what_was_captured(self):
        frames = [bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5]) + bytes([i]) * (46 + i)
                  for i in range(200)]
        write_pcap(self.folder / "in.pcap", frames, 1000)
        sent, arrived = self.both(self.deployment(
            "  - {into: h1.p0, replay: in.pcap, passes: 1, rewrite: false}"))
        self.assertEqual(sent["sources"]["traffic-0"]["packets"], 200)
        self.assertEqual(arrived["received"]["packets"], 200)
        self.assertEqual(pcap_frames(self.folder / "b/captures/h1.p1.pcap"), frames)

    def test_tagged_frames_keep_their_tag(self):
        macs = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1])
        frames = [macs + b"\x81\x00" + bytes([0x20, i + 1]) + b"\x88\xb5" + bytes(50)
                  for i in range(20)]
        write_pcap(self.folder / "in.pcap", frames, 1000)
        self.both(self.deployment("  - {into: h1.p0, replay: in.pcap, passes: 1, rewrite: false}"))
        self.assertEqual(pcap_frames(self.folder / "b/captures/h1.p1.pcap"), frames)

    def test_a_link_that_loses_all_lets_nothing_through(self):
        sent, arrived = self.both(self.deployment(
            SYNTHETIC, "{from: 0 s, for: 1 s, link: {port: h1.p0, loss: 100 %}}"))
        packets = sum(source["packets"] for source in sent["sources"].values())
        self.assertGreater(packets, 1000)
        self.assertEqual(sent["link"]["lost"], packets)
        self.assertEqual(sent["counted"]["tx_packets"], 0)
        self.assertEqual(arrived["received"]["packets"], 0)

    def test_sigterm_ends_it_early_and_it_says_so(self):
        process = self.start(0, self.deployment(SYNTHETIC, duration="20 h"), "--port", "h1.p0")
        # The file is there before a signal could find no handler.
        while not (self.folder / "a/series.csv").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (1, ""))
        self.assertFalse(json.loads(out)["complete"])

    def test_who_waits_for_its_time_ends_with_its_parent(self):
        process = self.start(0, self.deployment(SYNTHETIC), "--port", "h1.p0", "--time-zero", "-")
        self.assertEqual(process.stdout.readline(), "ready\n")
        out, err = process.communicate(timeout=60)  # Closes its stdin.
        self.assertEqual((process.returncode, out), (2, ""), err)
        self.assertIn("--time-zero: no time; got '-'", err)

    def test_what_cannot_be_used_is_one_line(self):
        file = self.deployment(SYNTHETIC)
        for code, wanted, interface, arguments in [
                (3, "nowire: no such interface", "nowire", ("--port", "h1.p0")),
                (2, "--port: no such port; got h1.p7", "wire", ("--port", "h1.p7")),
                (2, "nowhere to send", "wire", ())]:
            process = self.start(0, file, *arguments, interface=interface)
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (code, ""), err)
            self.assertIn(wanted, err)
            self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    TRAFFIC = os.path.abspath(sys.argv.pop(1))
    reason = cannot_run()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    unittest.main()
