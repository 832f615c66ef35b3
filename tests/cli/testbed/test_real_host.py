#!/usr/bin/python3
"""Sees that packets, real clients and faults meet a real host: `sluice testbed` with `sluice host`.

Usage: test_real_host.py FOLDER-OF-PROGRAMS. Needs root, network namespaces and a build with DPDK;
without, it ends with 77.
"""

import os
import pathlib
import select
import sys

import support

FILE = """
name: real
hosts:
  h1: {{cores: 5, clock: 2 GHz, ports: {{p0: {{rate: 1 Gbps}}, p1: {{rate: 1 Gbps}}}}}}
services:
  firewall: {{function: firewall, rules: [{{allow: {{dst_port: 80}}}}], affinity: session}}
  watch: {{function: monitor, affinity: session, instances: {{min: 1, max: 2}}}}
chains:
  there: {{from: h1.p0, to: h1.p1, match: {{dst_port: 80}}, steps: [firewall, watch]}}
  back: {{from: h1.p1, to: h1.p0, reverse_of: there}}
traffic:
{traffic}
faults: [{faults}]
run: {{duration: {duration}, seed: 1}}
"""
UDP = ("  - {name: udp, into: h1.p0, kind: constant, rate: 1.6 Mbps, size: 200 B, flows: 10, "
       "dst_port: 80}\n")


def deployment(traffic=UDP, faults="", duration="2 s"):
    return FILE.format(traffic=traffic, faults=faults, duration=duration)


class RealHost(support.Case):
    # The exit code 0 of each run says that the host's books were right at its end.

    def assert_accounted(self, summary, sent):
        """Every packet arrived or is counted as lost; how many, a busy machine decides."""
        path = summary["paths"]["udp"]
        missed = sum(port["rx_missed"] for port in summary.get("ports", {}).values())
        self.assertEqual(path["sent_packets"], sent)
        self.assertEqual(summary["received_packets"], sent - missed)
        self.assertEqual(path["arrived_packets"],
                         summary["received_packets"] - summary["dropped_packets"])

    def test_a_chain_passes_all_packets_and_counts_them(self):
        self.run_testbed(self.write(deployment()), "--results", "out", "--no-plot")
        summary = self.result("summary.json")
        self.assert_accounted(summary, 2000)
        self.assertEqual(summary["chains"]["there"]["packets"],
                         summary["paths"]["udp"]["arrived_packets"])
        self.assertEqual(summary["chains"]["there"]["left_packets"],
                         summary["paths"]["udp"]["arrived_packets"])
        watch = summary["instances"]["watch.1"]
        self.assertEqual(watch["delivered_packets"], watch["returned_packets"])
        self.assertGreaterEqual(watch["returned_packets"],
                                summary["paths"]["udp"]["arrived_packets"])
        self.assertGreater(summary["paths"]["udp"]["arrived_packets"], 0)
        self.assertEqual({row["entity"] for row in self.rows("instances")},
                         {"service:firewall", "service:watch"})
        self.assertEqual(summary["services"]["watch"]["instances_max"], 1)
        self.assert_nothing_left()

    def test_curl_and_iperf3_reach_their_servers_through_a_chain(self):
        self.run_testbed(self.write(deployment(
            "  - {name: web, into: h1.p0, to: h1.p1, kind: tcp, size: 60 kB, arrivals: 5/s, "
            "count: 4}\n"
            "  - {name: bulk, into: h1.p0, to: h1.p1, kind: tcp, size: 300 kB, arrivals: 5/s, "
            "count: 2, client: iperf3}\n"
            "  - {name: dgram, into: h1.p0, to: h1.p1, kind: constant, rate: 1 Mbps, size: 500 B, "
            "stop: 4 s, client: iperf3}\n", duration="8 s")), "--results", "out", "--no-plot")
        summary = self.result("summary.json")
        web, bulk = (summary["transfers"][name] for name in ("web", "bulk"))
        self.assertEqual((web["started"], web["finished"]), (4, 4))
        self.assertEqual(web["received_bytes"], 240_000)
        self.assertEqual((bulk["started"], bulk["finished"]), (2, 2))
        dgram = summary["paths"]["dgram"]
        self.assertGreater(dgram["sent_packets"], 900)
        self.assertGreater(dgram["arrived_packets"], 0.9 * dgram["sent_packets"])
        # Both directions of all connections met the host, and their ARP was let through.
        for chain in ("there", "back"):
            self.assertGreater(summary["chains"][chain]["packets"], 100)
        self.assert_nothing_left()

    def test_a_killed_and_a_hung_instance_are_replaced(self):
        faults = ("{at: 500 ms, kill: {service: watch, instance: 1}}, "
                  "{at: 2 s, hang: {service: firewall, instance: 1}}")
        self.run_testbed(self.write(deployment(faults=faults, duration="5 s")), "--results", "out",
                         "--no-plot")
        summary = self.result("summary.json")
        self.assertEqual(summary["faults"], {"kill_instance": 1, "hang_instance": 1})
        self.assertGreaterEqual(summary["events"]["instance_died"], 2)
        self.assertEqual(summary["events"]["instance_hung"], 1)
        self.assertGreaterEqual(summary["events"]["instance_started"], 4)
        # What was lost is counted, and traffic went on behind the faults.
        self.assert_accounted(summary, 5000)
        last = [int(row["value"]) for row in self.rows("delivered_bps")
                if row["entity"] == "port:h1.p1"][-5:]
        self.assertGreater(min(last), 0)
        self.assert_nothing_left()

    def test_a_chain_changes_as_the_file_says(self):
        change = "changes: [{at: 1 s, chain: there, steps: [firewall]}]\n"
        traffic = UDP.replace("flows: 10", "flows: 10, flow_packets: 20")
        self.run_testbed(self.write(deployment(traffic, duration="3 s") + change), "--results",
                         "out", "--no-plot")
        summary = self.result("summary.json")
        self.assert_accounted(summary, 3000)
        self.assertEqual(summary["events"]["chain_changed"], 2)  # With the one that reverses it.
        self.assertEqual(summary["dropped_packets"], 0)
        self.assert_nothing_left()

    def test_a_killed_host_takes_its_instances_along(self):
        self.run_testbed(self.write(deployment(faults="{at: 1 s, kill: {host: h1}}")), "--results",
                         "out", "--no-plot")
        path = self.result("summary.json")["paths"]["udp"]
        self.assertGreater(path["arrived_packets"], 0)
        self.assertLess(path["arrived_packets"], 1200)  # Of 2000, half of them after its death.
        self.assert_nothing_left()

    def test_nothing_of_a_host_is_left_when_the_testbed_is_killed(self):
        with self.running(self.write(deployment(duration="20 h"))) as (process, made):
            pids = self.pids_in(made)
            # The daemon, two instances, and the traffic of two ports.
            self.assertGreaterEqual(len(pids), 5)
            handles = [os.pidfd_open(pid) for pid in pids]
            process.kill()
            process.wait()
            self.finish(self.start("--clean"), 0)
            self.assert_nothing_left()
            for handle in handles:  # Instances end after their host: each by itself.
                self.assertTrue(select.select([handle], [], [], 30)[0])
                os.close(handle)


if __name__ == "__main__":
    support.main_with_a_real_host(pathlib.Path(sys.argv.pop(1)).resolve())
