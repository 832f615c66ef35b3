#!/usr/bin/python3
"""Sees that Open vSwitch takes our tunnel for one of its own, and gets every inner frame out of it.

Usage: test_open_vswitch.py TUNNEL_CAPTURE. The switch is a private one: its userspace datapath with
dummy ports, which take frames by its control socket and write them to a file; it needs no rights.
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
SECONDS_MAX = 60
FRAMES = 20  # Of each IP version.
# What tunnel_rig.hpp calls hosts 1 and 2.
UNDERLAYS = {"4": ("192.168.7.1", "192.168.7.2", "192.168.7.0/24", "netdev-dummy/ip4addr",
                   "192.168.7.2/24"),
             "6": ("fd00::7:1", "fd00::7:2", "fd00::7:0/112", "netdev-dummy/ip6addr",
                   "fd00::7:2/112")}


def read_pcap(path):
    data = pathlib.Path(path).read_bytes()
    at, frames = 24, []
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def wait_until(condition, what):
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SECONDS_MAX} s: {what}")
        time.sleep(0.02)


class OpenVswitch(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.environment = {**os.environ, **{name: str(self.folder) for name in
                                             ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")}}
        subprocess.run(["ovsdb-tool", "create", self.folder / "conf.db", SCHEMA], check=True)
        database = self.folder / "db.sock"
        self.start("ovsdb-server", self.folder / "conf.db", f"--remote=punix:{database}",
                   f"--unixctl={self.folder}/db.ctl")
        wait_until(database.exists, "a database")
        self.vsctl = ["ovs-vsctl", f"--db=unix:{database}", "-t", str(SECONDS_MAX)]
        self.run_tool(*self.vsctl, "--no-wait", "init")
        control = self.folder / "switch.ctl"
        self.start("ovs-vswitchd", f"unix:{database}", f"--unixctl={control}", "--enable-dummy",
                   "--disable-system")
        wait_until(control.exists, "a switch")
        self.appctl = ["ovs-appctl", "-t", control]

    def start(self, *command):
        process = subprocess.Popen([*command, "-vconsole:off"], env=self.environment,
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def run_tool(self, *command):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return done.stdout

    def make_bridges(self, version):
        """One on the underlay, and one whose only way out is behind the tunnel."""
        peer, _, network, add_address, address = UNDERLAYS[version]
        self.run_tool(
            *self.vsctl, "add-br", "under", "--", "set", "bridge", "under", "datapath_type=dummy",
            "other-config:hwaddr=02:00:00:00:01:02", "--", "add-port", "under", "p0", "--", "set",
            "interface", "p0", "type=dummy", "--", "add-br", "over", "--", "set", "bridge", "over",
            "datapath_type=dummy", "--", "add-port", "over", "tunnel", "--", "set", "interface",
            "tunnel", "type=vxlan", "options:exts=gpe", f"options:remote_ip=\"{peer}\"",
            "options:key=0x123456", "options:packet_type=ptap", "options:dst_port=4790",
            "ofport_request=1", "--", "add-port", "over", "out", "--", "set", "interface", "out",
            "type=dummy", f"options:tx_pcap={self.folder}/out.pcap", "ofport_request=2")
        self.run_tool(*self.appctl, add_address, "under", address)
        self.run_tool(*self.appctl, "ovs/route/add", network, "under")
        self.add_flow("under", "actions=normal")
        # NSH off, and what was in it on its way.
        self.add_flow("over", "table=0,in_port=1,packet_type=(1,0x894f),nsh_mdtype=2,"
                              "actions=decap(),goto_table:1")
        self.add_flow("over", "table=1,in_port=1,packet_type=(0,0),actions=output:2")

    def add_flow(self, bridge, flow):
        self.run_tool("ovs-ofctl", "-O", "OpenFlow13", "add-flow",
                      f"unix:{self.folder}/{bridge}.mgmt", flow)

    def passes(self, version):
        self.make_bridges(version)
        outer, inner = self.folder / "outer.pcap", self.folder / "inner.pcap"
        subprocess.run([PROGRAM, outer, inner], check=True)
        begin = 0 if version == "4" else FRAMES
        for frame in read_pcap(outer)[begin:begin + FRAMES]:
            self.run_tool(*self.appctl, "netdev-dummy/receive", "p0", frame.hex())
        expected = read_pcap(inner)[begin:begin + FRAMES]
        wait_until(lambda: len(read_pcap(self.folder / "out.pcap")) >= FRAMES, "all frames")
        self.assertEqual(read_pcap(self.folder / "out.pcap"), expected)

    def test_over_ipv4(self):
        self.passes("4")

    def test_over_ipv6(self):
        self.passes("6")

    def test_a_frame_of_another_network_does_not_pass(self):
        self.make_bridges("4")
        outer, inner = self.folder / "outer.pcap", self.folder / "inner.pcap"
        subprocess.run([PROGRAM, outer, inner], check=True)
        frames = read_pcap(outer)
        at = 14 + 20 + 8 + 4
        other = bytearray(frames[0])
        other[at] ^= 1
        for frame in (other, frames[5]):
            self.run_tool(*self.appctl, "netdev-dummy/receive", "p0", bytes(frame).hex())
        wait_until(lambda: read_pcap(self.folder / "out.pcap"), "the second frame")
        self.assertEqual(read_pcap(self.folder / "out.pcap"), [read_pcap(inner)[5]])


if __name__ == "__main__":
    unittest.main()
