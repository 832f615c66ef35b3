#!/usr/bin/python3
"""Sees that Wireshark's dissectors read a tunnelled frame as it is meant, and complain of nothing.

Usage: test_wireshark.py TUNNEL_CAPTURE
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
LAYERS = ("eth", "ip", "ipv6", "udp", "vxlan", "nsh")
FRAMES = 2 * 4 * 5


def tshark(file, *arguments):
    return subprocess.run(["tshark", "-n", "-r", file, "-o", "udp.check_checksum:TRUE", "-o",
                           "ip.check_checksum:TRUE", *arguments],
                          capture_output=True, text=True, check=True).stdout


class Wireshark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = pathlib.Path(cls.folder.name) / "tunnel.pcap"
        subprocess.run([PROGRAM, cls.file, os.devnull], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def fields(self, *names):
        rows = tshark(self.file, "-T", "fields", *(part for name in names for part in ("-e", name)))
        return [row.split("\t") for row in rows.splitlines()]

    def test_every_frame_is_ethernet_ip_udp_vxlan_gpe_nsh_ethernet(self):
        protocols = [row[0] for row in self.fields("frame.protocols")]
        self.assertEqual(len(protocols), FRAMES)
        for number, stack in enumerate(protocols):
            outer = "ip" if number < FRAMES / 2 else "ipv6"
            # It names VXLAN-GPE not among the protocols, but shows its fields.
            expected = f"eth:ethertype:{outer}:udp:nsh:eth:ethertype:"
            self.assertEqual(stack[:len(expected)], expected)

    def test_nothing_is_malformed_and_nobody_complains(self):
        complaints = tshark(self.file, "-Y", "_ws.malformed or _ws.expert", "-T", "json")
        for packet in json.loads(complaints):
            layers = packet["_source"]["layers"]
            text = json.dumps({name: layers.get(name) for name in LAYERS})
            self.assertNotIn("_ws.expert", text)
            self.assertNotIn("_ws.malformed", json.dumps(layers))

    def test_the_fields_are_what_was_written(self):
        rows = self.fields("vxlan.vni", "nsh.ttl", "nsh.length", "nsh.mdtype", "nsh.nextproto",
                           "nsh.spi", "nsh.si", "udp.dstport", "nsh.metadataclass")
        for number, row in enumerate(rows):
            pins = (0, 1, 25, 26, 32)[number % 5]
            words = (8 + 4 + 24 + 4 * pins + (4 if pins > 25 else 0)) // 4
            self.assertEqual(int(row[0]), 0x123456)
            self.assertEqual([int(each, 0) for each in row[1:7]],
                             [63, words, 2, 3, 1000 + number, 253])
            self.assertEqual(row[7].split(",")[0], "4790")
            self.assertEqual({int(each, 0) for each in row[8].split(",")}, {0xfff6})

    def test_checksums_are_right(self):
        # 1: good. The outer ones come first; UDP over IPv4 has none (2: unverified).
        for number, (ip, udp) in enumerate(self.fields("ip.checksum.status",
                                                       "udp.checksum.status")):
            if number < FRAMES / 2:
                self.assertEqual(ip.split(",")[0], "1")
            else:
                self.assertEqual(udp.split(",")[0], "1")


if __name__ == "__main__":
    unittest.main()
