#!/usr/bin/python3
"""Sees that stuck and scale-down, of experiments/, keep their promises, in simulation and for real.

Usage: test_experiments.py SOURCE-ROOT FOLDER-OF-PROGRAMS [TEST...]. Needs root, network namespaces
and a build with DPDK; without, it ends with 77. The checks are those of
tests/sim/simulation/promises_test.cpp, as far as one can see them from outside. They count on no
time, but a machine that gives an instance none of it for 200 ms makes it look hung. So a real run
that fails is repeated if its own figures say that it was held up.
"""

import collections
import itertools
import pathlib
import struct
import subprocess
import sys

import support

RING, BATCH = 512, 32
AFTER = 25_000  # Packets before the instance of `stuck` never answers again.
RUNS_MAX = 3
LATE_MAX_NS = 100_000_000  # Of a packet's sending, in a run that was not held up.
FLOW_IDLE_NS = 1_000_000_000
KINDS = {"instance_started": "started", "instance_draining": "draining", "instance_hung": "hung",
         "instance_died": "died", "instance_stopped": "stopped"}


def frames_of(path):
    """(time in ns, frame) of a pcap file that a testbed wrote."""
    data = path.read_bytes()
    scale = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[struct.unpack_from("<I", data)[0]]
    at = 24
    while at < len(data):
        seconds, part, length, _ = struct.unpack_from("<IIII", data, at)
        yield seconds * 10**9 + part * scale, data[at + 16:at + 16 + length]
        at += 16 + length


class Case(support.Case):
    experiment = ""

    def file_with(self, *changes):
        """The experiment's file with some of its text replaced."""
        text = (SOURCE / f"experiments/{self.experiment}/{self.experiment}.yaml").read_text(
            encoding="utf-8")
        for old, new in changes:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        return self.write(text)

    def simulate(self, *changes):
        if not (self.programs / "sluice-sim").exists():
            self.skipTest("this build has no simulator")
        done = subprocess.run([self.programs / "sluice-sim", self.file_with(*changes), "--results",
                               self.folder / "out", "--quiet"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.result("summary.json")

    def run_for_real(self, check, *changes):
        """Runs on real packets and checks the summary. Exit code 0 says that the host's books were
        right at its end."""
        file = self.file_with(*changes)
        for run in range(RUNS_MAX):
            self.run_testbed(file, "--results", "out", "--no-plot")
            summary = self.result("summary.json")
            try:
                check(summary)
                return
            except AssertionError as error:
                late_ns = max(path["late_max_ns"] for path in summary["paths"].values())
                if run + 1 == RUNS_MAX or late_ns < LATE_MAX_NS:
                    raise
                print(f"packets left {late_ns / 1e6:.0f} ms late, so once more: {error}")

    def lives(self):
        """What became of each instance: {name: {"started": place among the events, ...}}."""
        lives = collections.defaultdict(dict)
        for place, event in enumerate(self.events()):
            if event["kind"] in KINDS:
                lives[event["instance"]][KINDS[event["kind"]]] = place
        return lives


class Stuck(Case):
    experiment = "stuck"
    # No more than two are allowed, so that a third comes for no other reason.
    TWO = ("{min: 2, max: 3}", "{min: 2, max: 2}")

    def test_in_simulation(self):
        self.assert_replaced(self.simulate(self.TWO))

    def test_on_real_packets(self):
        self.run_for_real(self.assert_replaced, self.TWO)

    def assert_replaced(self, summary):
        lives = self.lives()
        self.assertEqual(sorted(lives), ["inspect.1", "inspect.2", "inspect.3"], self.events())
        stuck, replacement = lives["inspect.1"], lives["inspect.3"]
        self.assertLessEqual({"hung", "died"}, set(stuck))
        self.assertLess(stuck["hung"], stuck["died"])
        self.assertLess(stuck["hung"], replacement["started"])
        self.assertEqual((summary["events"]["instance_hung"], summary["events"]["instance_died"]),
                         (1, 1))
        self.assertEqual(summary["services"]["inspect"]["instances_end"], 2)
        # Its work was given to others.
        returned = {name: each["returned_packets"] for name, each in summary["instances"].items()}
        self.assertEqual(sorted(returned), ["inspect.2", "inspect.3"])
        self.assertGreater(returned["inspect.3"], 10_000)
        # It gave back all but the batch in which it got stuck.
        by_stuck = summary["chains"]["udp"]["left_packets"] - sum(returned.values())
        self.assertGreater(by_stuck, AFTER - BATCH)
        self.assertLessEqual(by_stuck, AFTER)
        self.assert_loss_is_bounded(summary)

    def assert_loss_is_bounded(self, summary):
        drops = summary["drops"]
        self.assertEqual(summary["dropped_packets"], sum(drops.values()))
        self.assertLessEqual(set(drops), {"instance_died", "ring_full", "hold_limit"})
        self.assertGreater(drops["instance_died"], 0)
        self.assertLessEqual(drops["instance_died"], RING + BATCH)
        # Without a replacement a third of all packets would be lost.
        self.assertLess(summary["dropped_packets"], summary["received_packets"] / 6)
        self.assertGreater(summary["received_packets"], 2 * AFTER)


class ScaleDown(Case):
    experiment = "scale-down"

    def numbered(self):
        """Packets show behind the host which instance they met."""
        program = self.programs / "numbering_function"
        return [("function: monitor", f"function: external, program: {program}"),
                ("seed: 1}", "seed: 1, captures: [h1.p1]}")]

    def test_in_simulation(self):
        self.assert_three_stopped(self.simulate())

    def test_on_real_packets(self):
        def check(summary):
            self.assert_three_stopped(summary)
            self.assert_no_flow_moved(summary)
        self.run_for_real(check, *self.numbered())

    def test_an_instance_whose_flows_never_end_is_not_stopped(self):
        def check(summary):
            self.assert_one_drains_at_a_time()
            self.assertEqual(summary["events"].get("instance_draining"), 1)
            self.assertNotIn("instance_stopped", summary["events"])
            self.assert_no_flow_moved(summary)
        self.run_for_real(check, *self.numbered(), ("flow_packets: 20", "flow_packets: 0"),
                          ("flow_idle: 1 s", "flow_idle: 1 h"), ("duration: 15 s", "duration: 6 s"))

    def assert_one_drains_at_a_time(self):
        draining = None
        for event in self.events():
            if event["kind"] == "instance_draining":
                self.assertIsNone(draining)
                draining = event["instance"]
            elif event["kind"] == "instance_stopped":
                self.assertEqual(event["instance"], draining)
                draining = None

    def assert_three_stopped(self, summary):
        lives = self.lives()
        self.assertEqual(sorted(lives), [f"fast.{number}" for number in range(1, 5)],
                         self.events())
        self.assertEqual(sum("stopped" in life for life in lives.values()), 3)
        self.assert_one_drains_at_a_time()
        self.assertEqual(summary["services"]["fast"]["instances_end"], 1)
        self.assertEqual(summary["events"]["instance_stopped"], 3)
        self.assertEqual(summary["events"]["instance_started"], 4)
        self.assertNotIn("instance_died", summary["events"])
        self.assertEqual(summary["drops"], {})
        for name, each in summary["instances"].items():
            self.assertEqual(each["delivered_packets"], each["returned_packets"], name)
        self.assertGreater(summary["flows_started"], 500)
        self.assertGreater(summary["received_packets"], 10_000)

    def assert_no_flow_moved(self, summary):
        """All four instances had flows, which kept them. Addresses and ports that are in use again
        long after are another flow."""
        flows = collections.defaultdict(list)
        for at_ns, frame in frames_of(self.folder / "out/captures/h1.p1.pcap"):
            flows[frame[26:38]].append((at_ns, frame[6:12]))  # IPv4 without options.
        count = sum(map(len, flows.values()))
        self.assertGreater(count, summary["received_packets"] / 2)
        for key, packets in flows.items():
            for (before_ns, before), (at_ns, now) in itertools.pairwise(packets):
                if at_ns - before_ns < FLOW_IDLE_NS / 2:
                    self.assertEqual(now, before, key)
        self.assertEqual(len({number for packets in flows.values() for _, number in packets}), 4)


if __name__ == "__main__":
    SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
    support.main_with_a_real_host(pathlib.Path(sys.argv.pop(1)).resolve())
