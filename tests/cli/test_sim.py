"""Tries `sluice sim` as a user does: result folders, sweeps, bad input, Ctrl-C.

Usage: test_sim.py PATH_OF_SLUICE SOURCE_FOLDER
"""

import csv
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

SLUICE = ""
SOURCE = pathlib.Path()

DEPLOYMENT = """
name: tiny
hosts:
  h1: {cores: 6, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}
services:
  count: {function: monitor, cost: 10000 cycles, instances: {min: 1, max: 3}}
chains:
  all: {from: h1.p0, to: h1.p1, steps: [count]}
traffic:
  - {into: h1.p0, kind: poisson, rate: 20 Mbps, size: 300 B, flows: 50, flow_packets: 50}
run: {duration: 500 ms, seed: 1}
"""


class Simulation(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.file = self.folder / "tiny.yaml"
        self.file.write_text(DEPLOYMENT)

    def sim(self, *arguments):
        done = subprocess.run([SLUICE, "sim", *map(str, arguments)], capture_output=True,
                              cwd=self.folder, timeout=120, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_a_program_of_a_third_party_is_refused_before_anything_starts(self):
        text = DEPLOYMENT.replace("function: monitor", "function: external, program: ./nf")
        self.file.write_text(text)
        for arguments in ([], ["--seeds", "1..2"]):
            code, out, err = self.sim("tiny.yaml", "--results", "r", *arguments)
            self.assertEqual((code, out), (2, ""))
            self.assertEqual(err, "tiny.yaml:6:21: services.count.function: runs only on real"
                                  " hosts; got external; expected one of busy, delay, firewall,"
                                  " forward, ids, load_balancer, load_generator, monitor,"
                                  " rate_limiter, router, stuck\n")
            self.assertFalse((self.folder / "r").exists())

    def test_a_run_writes_its_folder(self):
        code, out, err = self.sim(self.file, "--results", "r")
        self.assertEqual(code, 0, err)
        self.assertIn("trace hash", out)
        names = sorted(path.name for path in (self.folder / "r").iterdir())
        self.assertEqual(names, ["events.jsonl", "manifest.json", "series.csv", "summary.json",
                                 "timing.json"])
        manifest = json.loads((self.folder / "r/manifest.json").read_text())
        self.assertTrue(manifest["complete"])
        self.assertEqual(manifest["seed"], 1)
        self.assertEqual(manifest["versions"]["ns3"][:2], "3.")
        summary = json.loads((self.folder / "r/summary.json").read_text())
        self.assertGreater(summary["received_packets"], 1000)
        self.assertEqual(summary["violations"], 0)
        chain, received = summary["chains"]["all"], summary["received_packets"]
        self.assertEqual((chain["entered_packets"], chain["left_packets"],
                          chain["dropped_packets"]), (received, received, 0))
        self.assertEqual(summary["instances"]["count.1"],
                         {"delivered_packets": received, "returned_packets": received})

    def test_the_default_folder_is_named_after_the_file_and_seed(self):
        code, _, err = self.sim(self.file, "--seeds", "7", "--quiet")
        self.assertEqual(code, 0, err)
        self.assertTrue((self.folder / "results/tiny/seed-7/manifest.json").exists())

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(self):
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            code, _, err = self.sim(self.file, "--results", name, "--seeds", seed, "--quiet")
            self.assertEqual(code, 0, err)
        for name in ("series.csv", "summary.json", "events.jsonl"):
            a, b = ((self.folder / run / name).read_bytes() for run in "ab")
            self.assertEqual(a, b, name)
        series = [(self.folder / run / "series.csv").read_bytes() for run in "ac"]
        self.assertNotEqual(*series)
        manifests = [json.loads((self.folder / run / "manifest.json").read_text()) for run in "abc"]
        self.assertEqual(manifests[0]["trace_hash"], manifests[1]["trace_hash"])
        self.assertNotEqual(manifests[0]["trace_hash"], manifests[2]["trace_hash"])
        for manifest in manifests[:2]:
            manifest.pop("command")
        self.assertEqual(manifests[0], manifests[1])

    def test_a_sweep_runs_what_is_missing_only(self):
        arguments = (self.file, "--results", "s", "--seeds", "1..2", "--quiet", "--set",
                     "scaling.up.occupancy=0.3,0.9")
        code, out, err = self.sim(*arguments)
        self.assertEqual(code, 0, err)
        self.assertIn("4 runs", out)
        with open(self.folder / "s/sweep.csv", newline="") as stream:
            rows = list(csv.DictReader(stream))
        self.assertEqual(len(rows), 4)
        self.assertEqual({row["seed"] for row in rows}, {"1", "2"})
        runs = sorted(path.parent for path in (self.folder / "s").rglob("manifest.json"))
        kept = runs[0] / "manifest.json"
        before = kept.stat().st_mtime_ns
        shutil.rmtree(runs[1])
        code, out, err = self.sim(*arguments)
        self.assertEqual(code, 0, err)
        self.assertEqual(kept.stat().st_mtime_ns, before)
        self.assertEqual(out.count("trace hash"), 1)
        self.assertTrue((runs[1] / "manifest.json").exists())

    def test_measured_costs_take_the_place_of_the_files(self):
        costs = self.folder / "costs.yaml"
        costs.write_text("clock: 2 GHz\nfunctions: {monitor: 40 cycles, fuzz: 1 cycles}\n")
        code, _, err = self.sim(self.file, "--results", "r", "--costs", costs, "--quiet")
        self.assertEqual(code, 0, err)
        self.assertIn("functions.fuzz: ignored", err)
        self.assertNotIn("functions.monitor", err)
        manifest = json.loads((self.folder / "r/manifest.json").read_text())
        resolved = json.loads(manifest["resolved_file"])
        self.assertEqual(resolved["services"]["count"]["cost"], "40 cycles")
        self.assertEqual(resolved["hosts"]["h1"]["clock"], "2 GHz")

    def test_bad_input_is_one_line_and_leaves_nothing(self):
        (self.folder / "cut.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + b"\0" * 30)
        synthetic = "kind: poisson, rate: 20 Mbps, size: 300 B, flows: 50, flow_packets: 50"
        replay = DEPLOYMENT.replace(synthetic, "replay: cut.pcap, rate: 1 Mbps")
        (self.folder / "replay.yaml").write_text(replay)
        (self.folder / "broken.yaml").write_text(DEPLOYMENT.replace("monitor", "monitro"))
        for arguments in (("absent.yaml",), ("broken.yaml",), ("replay.yaml",), (self.folder,),
                          (self.file, "--set", "run.duration=10sec"),
                          (self.file, "--costs", "absent.yaml"),
                          (self.file, "--costs", "broken.yaml"),
                          (self.file, "--set", "nonsense"),
                          (self.file, "--set", "run.duration=1 ms,10sec"),
                          (self.file, "--seeds", "5..1"), (self.file, "--no-such-flag"), (),
                          (self.file, "--swarm", "1")):
            code, out, err = self.sim(*arguments, "--results", "never")
            self.assertEqual(code, 2, (arguments, out, err))
            self.assertEqual(out, "", arguments)
            self.assertFalse((self.folder / "never").exists(), arguments)
            left = [path for path in self.folder.iterdir() if path.name.startswith(".")]
            self.assertEqual(left, [], arguments)
            if arguments and "--no-such-flag" not in arguments:
                self.assertEqual(err.count("\n"), 1, (arguments, err))

    def test_a_folder_that_holds_something_else_is_not_touched(self):
        precious = self.folder / "precious"
        precious.mkdir()
        (precious / "thesis.tex").write_text("years of work")
        code, _, err = self.sim(self.file, "--results", precious, "--quiet")
        self.assertNotEqual(code, 0, err)
        self.assertEqual([path.name for path in precious.iterdir()], ["thesis.tex"])

    def test_ctrl_c_keeps_what_was_measured_and_says_so(self):
        process = subprocess.Popen([SLUICE, "sim", str(self.file), "--results", "i", "--set",
                                    "run.duration=20 h"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # The temporary folder is made when the run begins.
        while not list(self.folder.glob(".*/series.csv")) and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, (out, err))
        self.assertIn(b"(interrupted)", out)
        manifest = json.loads((self.folder / "i/manifest.json").read_text())
        self.assertFalse(manifest["complete"])
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name[0] == "."], [])

    def test_help_has_an_example(self):
        code, out, _ = self.sim("--help")
        self.assertEqual(code, 0)
        self.assertIn("Examples:", out)
        self.assertIn("sluice sim experiments/autoscale/autoscale.yaml", out)


if __name__ == "__main__":
    SLUICE, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
    unittest.main(argv=sys.argv[:1])
