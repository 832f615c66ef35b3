#!/usr/bin/python3
"""Tests of sluice plot: called as a program, as users do. plot_test.py PATH_OF_SLUICE_PLOT"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PLOT = ""
SWEEP = """run,up,seed,commit,trace_hash,core_seconds,note
a,0.5,1,c,h,10,x
b,0.5,2,c,h,14,x
c,0.7,1,c,h,8,x
d,0.7,2,c,h,8,x
"""


class Plot(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="sluice-plot-")
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, folder, **files):
        path = os.path.join(self.root, folder)
        os.makedirs(path, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(path, name.replace("_", ".", 1)), "w", encoding="utf-8") as out:
                out.write(text)
        return path

    def write_run(self, folder="run", question="How many?", complete=True, gap=1, **manifest):
        rows = ["time,entity,metric,value,unit"]
        for i in range(0, 20, gap):
            for entity, metric, value in [
                ("traffic", "offered_bps", 1e8 * i),
                ("port:h1.p1", "delivered_bps", 9e7 * i),
                ("service:ids", "instances", 1 + i // 10),
                ("service:ids", "occupancy_ppm", 30000 * i),
                ("reason:ring_full", "drops_per_s", i),
                ("reason:ttl", "drops_per_s", 0),
                ("chain:web", "latency_p50_ns", 1000 * i),
                ("chain:web", "latency_p99_ns", 9000 * i),
            ]:
                rows.append(f"{i},{entity},{metric},{value:g},x")
        manifest |= {"name": "autoscale", "question": question, "complete": complete}
        events = [{"at_ns": 10**10, "kind": "scale_up", "service": "ids", "instance": "ids.2"},
                  {"at_ns": 10**10, "kind": "instance_started", "service": "ids"}]
        return self.write(folder, manifest_json=json.dumps(manifest),
                          series_csv="\n".join(rows) + "\n",
                          events_jsonl="".join(json.dumps(event) + "\n" for event in events))

    def plot(self, *arguments, status=0):
        done = subprocess.run([PLOT, *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def texts(self, path):
        """The texts of an SVG: matplotlib writes each as a comment beside its glyphs."""
        with open(path, encoding="utf-8") as stream:
            parser = xml.etree.ElementTree.XMLParser(
                target=xml.etree.ElementTree.TreeBuilder(insert_comments=True))
            root = xml.etree.ElementTree.parse(stream, parser).getroot()
        return [each.text.strip() for each in root.iter() if not isinstance(each.tag, str)]

    def error(self, *arguments):
        done = self.plot(*arguments, status=2)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr.strip()

    def test_a_run_has_all_panels_with_units_legends_and_marked_events(self):
        folder = self.write_run()
        done = self.plot(folder)
        stem = os.path.join(folder, "plot")
        self.assertEqual(done.stdout.split(), [stem + ".svg", stem + ".png"])
        texts = self.texts(stem + ".svg")
        for wanted in ["How many?", "load (Gbps)", "instances", "ring occupancy (%)",
                       "drops (packets/s)", "latency (µs)", "time (s)", "offered",
                       "delivered h1.p1", "ids", "ring_full", "web p50", "web p99",
                       "scale up ids.2"]:
            self.assertIn(wanted, texts)
        self.assertNotIn("ttl", texts)  # Never occurred.
        with open(stem + ".png", "rb") as png:
            self.assertEqual(png.read(8), b"\x89PNG\r\n\x1a\n")

    def test_a_small_load_has_a_smaller_unit(self):
        folder = self.write_run()
        path = os.path.join(folder, "series.csv")
        with open(path, "w", encoding="utf-8") as series:
            series.write("time,entity,metric,value,unit\n1,traffic,offered_bps,9e7,bit/s\n"
                         "2,traffic,offered_bps,9.9e7,bit/s\n")
        self.plot(folder)
        self.assertIn("load (Mbps)", self.texts(os.path.join(folder, "plot.svg")))

    def test_two_runs_show_the_sum_over_ports(self):
        folders = [self.write_run("a"), self.write_run("b")]
        for folder in folders:
            with open(os.path.join(folder, "series.csv"), "a", encoding="utf-8") as series:
                series.write("1,port:all,delivered_bps,1e9,bit/s\n")
        output = os.path.join(self.root, "both")
        self.plot(*folders, "-o", output)
        self.assertIn("delivered by all ports", self.texts(output + ".svg"))
        self.assertNotIn("delivered h1.p1", self.texts(output + ".svg"))
        self.plot(folders[0])  # A run by itself shows its ports.
        self.assertIn("delivered h1.p1", self.texts(os.path.join(folders[0], "plot.svg")))

    def test_the_same_results_give_the_same_bytes(self):
        folder = self.write_run()
        copies = []
        for name in ["one", "two"]:
            self.plot(folder, "-o", os.path.join(self.root, name))
            with open(os.path.join(self.root, name + ".svg"), "rb") as svg:
                copies.append(svg.read())
        self.assertEqual(copies[0], copies[1])

    def test_an_incomplete_run_says_so(self):
        folder = self.write_run(complete=False)
        self.plot(folder)
        self.assertIn("How many? (incomplete run)", self.texts(os.path.join(folder, "plot.svg")))

    def test_two_runs_are_told_apart(self):
        output = os.path.join(self.root, "both")
        self.plot(self.write_run("sim"), self.write_run("testbed"), "-o", output)
        texts = self.texts(output + ".svg")
        self.assertIn("sim (events marked)", texts)
        self.assertIn("testbed", texts)
        # Colours are explained once, styles in the legend of the figure.
        self.assertEqual(texts.count("offered"), 1)
        self.assertEqual(texts.count("web p99"), 1)

    def test_a_simulation_and_a_testbed_are_called_so(self):
        output = os.path.join(self.root, "both")
        self.plot(self.write_run("20260101T000000Z"),
                  self.write_run("20260102T000000Z", backend="testbed"), "-o", output)
        texts = self.texts(output + ".svg")
        self.assertIn("simulation (events marked)", texts)
        self.assertIn("testbed", texts)
        self.assertNotIn("20260101T000000Z", texts)

    def test_a_sweep_shows_means_and_intervals(self):
        folder = self.write("sweep", sweep_csv=SWEEP)
        self.plot(folder, "--x", "up", "--y", "core_seconds", "--title", "Which?")
        texts = self.texts(os.path.join(folder, "plot.svg"))
        self.assertIn("up", texts)
        self.assertIn("core_seconds", texts)
        self.assertIn("mean and 95 % confidence interval over 2 seeds",
                      " ".join(" ".join(texts).split()))

    def test_the_interval_is_that_of_student(self):
        import importlib.machinery
        import importlib.util

        import pandas

        loader = importlib.machinery.SourceFileLoader("sluice_plot", PLOT)
        spec = importlib.util.spec_from_loader("sluice_plot", loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        rows = pandas.DataFrame({"up": ["1"] * 3, "y": [1.0, 2.0, 3.0]})
        mean, half, count = module.sweep_points(rows, "up", "y", "f")["1"]
        self.assertEqual((mean, count), (2.0, 3))
        self.assertAlmostEqual(half, 4.302653 / 3**0.5, 5)
        for freedom, printed in [(1, 12.706), (9, 2.262), (19, 2.093), (120, 1.980)]:
            self.assertAlmostEqual(module.t_quantile(freedom), printed, 3)

    def test_bad_input_is_one_clear_line(self):
        run = self.write_run()
        sweep = self.write("sweep", sweep_csv=SWEEP)
        empty = self.write("empty")
        self.assertEqual(self.error(os.path.join(self.root, "no")),
                         f"{self.root}/no: no such folder; expected a run folder or a sweep folder")
        self.assertIn("is no result folder; got neither manifest.json nor sweep.csv",
                      self.error(empty))
        self.assertIn("a sweep is drawn alone", self.error(run, sweep))
        self.assertIn("too many runs for one plot; got 3", self.error(run, run, run))
        self.assertIn("--x and --y belong to a sweep", self.error(run, "--y", "a"))
        self.assertEqual(self.error(sweep, "--x", "down", "--y", "note"),
                         "--x: no such swept key; got 'down'; expected one of up")
        self.assertEqual(self.error(sweep, "--y", "speed"),
                         "--y: no such metric; got 'speed'; expected one of core_seconds, note")
        self.assertIn("note is no number at up=0.5", self.error(sweep, "--y", "note"))
        self.assertIn("unrecognized arguments: --bogus", self.error(run, "--bogus"))
        self.assertIn("no such folder; got '/nowhere'", self.error(run, "-o", "/nowhere/x"))

    def test_damaged_results_are_one_clear_line(self):
        run = self.write_run()
        path = os.path.join(run, "series.csv")
        self.write("run", series_csv="time,entity,metric,value,unit\n1,a,offered_bps,many,x\n")
        self.assertEqual(self.error(run),
                         f"{path}:2:1: value is no number; got 'many'; expected a number")
        self.write("run", series_csv="time,entity\n1,a\n")
        self.assertIn("has no column metric", self.error(run))
        self.write("run", series_csv="time,entity,metric,value,unit\n")
        self.assertIn("has no measurements", self.error(run))
        self.write("run", series_csv="time,entity,metric,value,unit\n1,a,speed,1,x\n")
        self.assertIn("has none of the known metrics; got speed", self.error(run))
        self.write_run()
        self.write("run", events_jsonl='{"at_ns": 1, "kind": "fault"}\nnot json\n')
        self.assertIn("events.jsonl:2:1: is no event", self.error(run))
        self.write("run", manifest_json="{")
        self.assertIn("is not JSON", self.error(run))

    def test_help_has_an_example(self):
        self.assertIn("sluice plot results/", self.plot("--help").stdout)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    PLOT = sys.argv.pop(1)
    unittest.main()
