#!/usr/bin/python3
"""Tests of scripts/plateau.py. Usage: test_plateau.py ROOT"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path(".")


class Plateau(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_folder(self, name, *values):
        """A run with a throughput for each second; others' rows are there to be passed over."""
        rows = ["time,entity,metric,value,unit"]
        for second, value in enumerate(values, 1):
            rows += [f"{second},port:all,delivered_bps,{value},bit/s",
                     f"{second},port:h1.p1,delivered_bps,77,bit/s",
                     f"{second},port:all,other,77,x"]
        (self.folder / name).mkdir()
        (self.folder / name / "series.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return str(self.folder / name)

    def compare(self, *arguments):
        return subprocess.run([ROOT / "scripts/plateau.py", *arguments], capture_output=True,
                              text=True, check=False)

    def test_means_of_the_plateau_are_compared(self):
        done = self.compare(self.run_folder("a", 9e9, 10e6, 20e6, 9e9),
                            self.run_folder("b", 9e9, 12e6, 15e6, 9e9), "1", "3")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "plateau 1 s to 3 s: simulated 15.00 Mbps, measured 13.50 "
                                      "Mbps, -10.0 %: within 15 %\n")

    def test_more_than_allowed_is_said(self):
        done = self.compare(self.run_folder("a", 10e6), self.run_folder("b", 8e6), "0", "1")
        self.assertIn("-20.0 %: NOT within 15 %", done.stdout)

    def test_a_run_that_did_not_get_there_is_an_error(self):
        folder = self.run_folder("a", 10e6)
        done = self.compare(folder, folder, "5", "9")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no throughput between 5 s and 9 s", done.stderr)


if __name__ == "__main__":
    unittest.main()
