#!/usr/bin/python3
"""Sees that a testbed run comes up, measures, and leaves nothing, however it ends.

Usage: test_testbed.py SOURCE-ROOT FOLDER-OF-PROGRAMS. The host is a stand-in, so that this needs no
DPDK. Needs root and network namespaces; without, it ends with 77.
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import support

FILE = """
name: small
description: Does it work?
hosts:
  h1: {{cores: 4, clock: 2 GHz, ports: {{p0: {{rate: 10 Gbps}}, p1: {{rate: 10 Gbps}}}}}}
services:
  pass: {{function: forward}}
chains:
  there: {{from: h1.p0, to: h1.p1, match: {{}}, steps: [pass]}}
  back: {{from: h1.p1, to: h1.p0, reverse_of: there}}
traffic:
{traffic}
faults: [{faults}]
run: {{duration: {duration}, seed: 1, captures: [h1.p1]}}
"""
UDP = "  - {name: udp, into: h1.p0, kind: constant, rate: 800 kbps, size: 200 B, flows: 10}\n"


def deployment(traffic=UDP, faults="", duration="1 s"):
    return FILE.format(traffic=traffic, faults=faults, duration=duration)


class Testbed(support.Case):
    def test_a_run_leaves_results_and_nothing_else(self):
        out, _ = self.run_testbed(self.write(deployment()), "--results", "out")
        self.assertIn("results out", out)
        self.assertLessEqual({"manifest.json", "summary.json", "series.csv", "events.jsonl",
                              "plot.svg", "plot.png", "captures"},
                             {path.name for path in (self.folder / "out").iterdir()})
        manifest = self.result("manifest.json")
        self.assertEqual((manifest["name"], manifest["backend"], manifest["complete"]),
                         ("small", "testbed", True))
        self.assertIn('"name": "small"', manifest["resolved_file"])
        summary = self.result("summary.json")
        # 800 kbps of 200 B for a second; the stand-in passes all.
        path = summary["paths"]["udp"]
        self.assertEqual((path["sent_packets"], path["arrived_packets"]), (500, 500))
        self.assertEqual(summary["received_packets"], 500)
        self.assertEqual(summary["offered_bps"], 800_000)
        self.assertEqual(summary["delivered_bps"], 800_000)
        self.assertEqual((self.folder / "out/captures/h1.p1.pcap").stat().st_size,
                         24 + 500 * (16 + 200))
        self.assert_nothing_left()

    def test_rows_of_all_programs_are_of_the_same_moments(self):
        self.run_testbed(self.write(deployment()), "--results", "out", "--no-plot")
        moments = [str(tick / 10).removesuffix(".0") for tick in range(1, 11)]
        for metric, entity in [("offered_bps", "traffic:udp"), ("delivered_bps", "port:h1.p1"),
                               ("delivered_bps", "port:all"), ("flows", "host:h1")]:
            self.assertEqual([row["time"] for row in self.rows(metric) if row["entity"] == entity],
                             moments, entity)

    def test_both_sides_of_a_replay_are_one_source(self):
        capture = pathlib.Path(SOURCE) / "data/captures/web.pcap"
        self.run_testbed(self.write(deployment(
            f"  - {{name: web, into: h1.p0, to: h1.p1, replay: {capture}, passes: 1}}\n",
            duration="2 s")), "--results", "out", "--no-plot")
        self.assertEqual(self.result("summary.json")["paths"]["web"]["sent_packets"], 5006)
        rows = [row for row in self.rows("offered_bps") if row["entity"] == "traffic:web"]
        self.assertEqual(len(rows), 20)  # Not one a side.

    def test_the_default_folder_is_named_after_the_file(self):
        self.run_testbed(self.write(deployment()), "--no-plot")
        self.assertTrue((self.folder / "results/small/testbed/manifest.json").exists())

    # --- Ends ------------------------------------------------------------------------------------

    def test_ctrl_c_keeps_what_was_measured_and_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.running(self.write(deployment(duration="20 h"))) as (process, _):
                process.send_signal(number)
                out, _ = self.finish(process, 130)
            self.assertIn("(interrupted)", out)
            self.assertFalse(self.result("manifest.json")["complete"])
            self.assertGreater(self.result("summary.json")["measured_s"], 0)
            self.assertTrue(self.rows("offered_bps"))
            self.assert_nothing_left()

    def test_an_interrupted_start_leaves_nothing(self):
        process = self.start(self.write(deployment()), "--results", "out", STAND_IN="never-ready")
        self.wait_for("a host", lambda: any(
            (folder / "h1.control").exists() for folder in support.run_folders() - self.before[1]),
                      process)
        process.send_signal(signal.SIGTERM)
        self.finish(process, 130)
        self.assertFalse((self.folder / "out").exists())
        self.assert_nothing_left()

    def test_an_interrupt_at_any_moment_of_the_start_leaves_nothing(self):
        # Once more each time: after the folder, the first namespace, the second, ...
        for count in range(4):
            process = self.start(self.write(deployment()), "--results", "out",
                                 STAND_IN="never-ready")
            self.wait_for(f"{count} namespaces", lambda wanted=count: (
                support.run_folders() > self.before[1] and
                len(support.namespaces() - self.before[0]) >= wanted), process)
            process.send_signal(signal.SIGINT)
            self.finish(process, 130)
            self.assert_nothing_left()

    def test_what_a_killed_run_left_is_removed_by_clean(self):
        with self.running(self.write(deployment(duration="20 h"))) as (process, made):
            self.assertEqual(len(made), 3)
            pids = self.pids_in(made)
            self.assertGreaterEqual(len(pids), 3)
            process.kill()
            process.wait()
            self.assertLessEqual(made, support.namespaces())
            _, err = self.finish(self.start("--clean"), 0)
            for name in made:
                self.assertIn(f"removed {name}, which a killed run had left", err)
            self.assert_nothing_left()
            self.assertEqual([pid for pid in pids if self.lives(pid)], [])
        # There is no more to remove.
        self.assertEqual(self.finish(self.start("--clean"), 0), ("", ""))

    def test_what_a_killed_run_left_is_removed_by_the_next(self):
        with self.running(self.write(deployment(duration="20 h"))) as (process, made):
            process.kill()
            process.wait()
        _, err = self.run_testbed(self.write(deployment()), "--results", "next", "--no-plot")
        self.assertIn("which a killed run had left", err)
        self.assertEqual(support.namespaces() & made, set())
        self.assert_nothing_left()

    def test_clean_leaves_a_living_run_alone(self):
        with self.running(self.write(deployment(duration="20 h"))) as (process, made):
            self.assertEqual(self.finish(self.start("--clean"), 0), ("", ""))
            self.assertLessEqual(made, support.namespaces())
            self.assertIsNone(process.poll())

    def test_a_host_that_dies_ends_the_run_and_leaves_nothing(self):
        file = self.write(deployment(duration="20 h"))
        _, err = self.run_testbed(file, "--results", "out", code=1, STAND_IN="dies")
        self.assertIn("host-h1: ended in the middle of the run with exit code 1; "
                      "got the stand-in dies as it was told", err)
        self.assertFalse((self.folder / "out").exists())
        self.assert_nothing_left()

    def test_a_host_whose_books_are_wrong_is_exit_70(self):
        _, err = self.run_testbed(self.write(deployment()), "--results", "out", code=70,
                                  STAND_IN="exit-70")
        self.assertIn("host h1: ended with exit code 70", err)
        self.assert_nothing_left()

    # --- Faults ----------------------------------------------------------------------------------

    def test_faults_happen_at_their_times_to_real_processes(self):
        faults = ("{at: 200 ms, kill: {service: pass, instance: 1}}, "
                  "{at: 400 ms, kill: {service: pass, instance: 1}}, "
                  "{from: 500 ms, for: 100 ms, pause: {host: h1}}, "
                  "{at: 800 ms, kill: {host: h1}}")
        self.run_testbed(self.write(deployment(faults=faults)), "--results", "out", "--no-plot")
        seen = [(event["what"], event["begin"], event["done"]) for event in self.events()
                if event["kind"] == "fault"]
        self.assertEqual(seen, [("kill_instance", True, True),
                                ("kill_instance", True, False),  # There is none any more.
                                ("pause_host", True, True), ("pause_host", False, True),
                                ("kill_host", True, True)])
        for event, planned in zip((e for e in self.events() if e["kind"] == "fault"),
                                  (200, 400, 500, 600, 800)):
            self.assertGreaterEqual(event["at_ns"], planned * 1_000_000)
        summary = self.result("summary.json")
        self.assertEqual(summary["faults"], {"kill_instance": 1, "pause_host": 1, "kill_host": 1})
        # After its host's death nothing arrives: 500 were sent, by 800 ms 400 of them.
        self.assertLess(summary["paths"]["udp"]["arrived_packets"], 405)
        self.assertEqual(summary["paths"]["udp"]["sent_packets"], 500)
        self.assert_nothing_left()

    def test_a_link_that_loses_half_is_in_the_summary(self):
        faults = "{from: 0 s, for: 1 s, link: {port: h1.p0, loss: 50 %}}"
        self.run_testbed(self.write(deployment(faults=faults)), "--results", "out", "--no-plot")
        summary = self.result("summary.json")
        lost = summary["links"]["h1.p0"]["lost"]
        self.assertGreater(lost, 150)
        self.assertEqual(summary["paths"]["udp"]["arrived_packets"], 500 - lost)
        self.assertEqual(summary["faults"], {"link_loss": 1})

    # --- Real clients ----------------------------------------------------------------------------

    def test_curl_fetches_from_nginx_what_was_planned(self):
        self.run_testbed(self.write(deployment(
            "  - {name: web, into: h1.p0, to: h1.p1, kind: tcp, size: 30 kB, arrivals: 10/s, "
            "count: 8}\n", duration="8 s")), "--results", "out", "--no-plot")
        transfers = self.result("summary.json")["transfers"]["web"]
        self.assertEqual((transfers["started"], transfers["finished"]), (8, 8))
        self.assertEqual(transfers["received_bytes"], 8 * 30_000)
        self.assertGreater(transfers["completion_p50_ns"], 0)
        rows = [int(row["value"]) for row in self.rows("transfers_finished")]
        self.assertEqual((len(rows), rows[-1]), (80, 8))
        self.assertAlmostEqual(sum(int(row["value"]) for row in self.rows("goodput_bps")) / 80,
                               8 * 30_000, delta=100)
        self.assert_nothing_left()

    def test_iperf3_pushes_what_was_planned(self):
        self.run_testbed(self.write(deployment(
            "  - {name: bulk, into: h1.p0, to: h1.p1, kind: tcp, size: 50 kB, arrivals: 10/s, "
            "count: 4, client: iperf3}\n", duration="8 s")), "--results", "out", "--no-plot")
        transfers = self.result("summary.json")["transfers"]["bulk"]
        self.assertEqual((transfers["started"], transfers["finished"]), (4, 4))
        # Not all: see clients.py. iperf3 sends whole blocks, here one of 50 kB.
        self.assertGreater(transfers["received_bytes"], 0)
        self.assertLessEqual(transfers["received_bytes"], 4 * 2 * 50_000)
        self.assert_nothing_left()

    def test_iperf3_sends_datagrams_at_the_rate(self):
        self.run_testbed(self.write(deployment(
            "  - {name: dgram, into: h1.p0, to: h1.p1, kind: constant, rate: 1 Mbps, size: 500 B, "
            "client: iperf3}\n", duration="3 s")), "--results", "out", "--no-plot")
        path = self.result("summary.json")["paths"]["dgram"]
        self.assertAlmostEqual(path["sent_packets"], 750, delta=2)  # 3 Mbit of 4,000 bits.
        self.assertEqual(path["arrived_packets"], path["sent_packets"])
        self.assert_nothing_left()

    def test_a_change_that_the_host_refuses_ends_the_run(self):
        text = deployment() + "changes: [{at: 500 ms, chain: there, steps: [pass, pass]}]\n"
        _, err = self.run_testbed(self.write(text), "--results", "out", code=1, STAND_IN="refuses")
        self.assertIn("host h1: chain there could not be changed; got as it was told", err)
        self.assert_nothing_left()

    # --- Refusals: nothing is started ------------------------------------------------------------

    def test_what_only_a_simulator_can_do_is_refused(self):
        tcp = "  - {into: h1.p0, to: h1.p1, kind: tcp, arrivals: 5/s}\n"
        for text, wanted in [
                (deployment(faults="{at: 1 s, slow: {service: pass, instance: 1, factor: 2}}"),
                 "faults[0]: a testbed cannot slow an instance down"),
                (deployment(tcp, "{from: 0 s, for: 1 s, link: {port: h1.p1, loss: 1 %}}"),
                 "faults[0]: a testbed disturbs only links whose frames it sends itself; "
                 "got h1.p1, which real clients are behind")]:
            out, err = self.run_testbed(self.write(text), "--results", "out", code=2)
            self.assertIn(wanted, err)
            self.assertEqual((out, err.count("\n")), ("", 1))

    def test_a_bad_file_is_the_message_of_check(self):
        _, err = self.run_testbed(self.write(deployment().replace("forward", "foward")), code=2)
        self.assertIn('unknown function; got "foward"', err)
        self.assertEqual(err.count("\n"), 1)

    def test_bad_usage_is_one_line(self):
        for arguments in [(), ("--clean", "file.yaml"), ("--bogus",), ("a.yaml", "b.yaml")]:
            out, err = self.finish(self.start(*arguments), 2)
            self.assertEqual((out, err.count("\n")), ("", 1), err)

    def test_a_folder_that_holds_something_else_is_not_touched(self):
        precious = self.folder / "precious"
        precious.mkdir()
        (precious / "thesis.tex").write_text("years of work", encoding="utf-8")
        _, err = self.run_testbed(self.write(deployment()), "--results", precious, code=2)
        self.assertIn("exists and holds no results of a run", err)
        self.assertEqual([path.name for path in precious.iterdir()], ["thesis.tex"])
        self.assert_nothing_left()

    def test_fewer_cores_than_slots_are_said(self):
        file = deployment().replace("cores: 4", "cores: 60")
        _, err = self.run_testbed(self.write(file), "--results", "out", "--no-plot")
        self.assertRegex(err, r"\d+ real cores for 60 slots of the file")

    def test_who_is_not_root_is_told(self):
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                               self.programs / "sluice-testbed", "--clean"], cwd="/",
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertEqual(done.stderr, "sluice testbed: network namespaces need root; got user "
                                      "65534; expected sudo sluice testbed ...\n")

    def test_a_build_without_hosts_says_what_it_lacks(self):
        (self.programs / "sluice-host").rename(self.programs / "away")
        self.addCleanup((self.programs / "away").rename, self.programs / "sluice-host")
        _, err = self.run_testbed(self.write(deployment()), code=3)
        self.assertIn("this build lacks programs; got sluice-host", err)

    def test_help_has_an_example(self):
        out, _ = self.finish(self.start("--help"), 0)
        self.assertIn("sluice testbed experiments/autoscale-small", out)


def make_programs(source, build):
    """A folder of programs in which the host is a stand-in."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-testbed-programs-"))
    folder.chmod(0o755)  # For one test that is not root's.
    shutil.copy(source / "cli/testbed/sluice-testbed", folder)
    shutil.copytree(source / "cli/testbed/sluice_testbed", folder / "sluice_testbed",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("check", "traffic", "plot"):
        (folder / f"sluice-{name}").symlink_to(build / f"sluice-{name}")
    (folder / "sluice-host").symlink_to(source / "tests/cli/testbed/stand_in_host.py")
    return folder


if __name__ == "__main__":
    SOURCE, BUILD = (pathlib.Path(each).resolve() for each in sys.argv[1:3])
    reason = support.cannot_run()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(support.SKIPPED)
    support.Case.programs = make_programs(SOURCE, BUILD)
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
    finally:
        shutil.rmtree(support.Case.programs)
