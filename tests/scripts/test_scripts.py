#!/usr/bin/python3
"""Sees that the scripts of the root install what is missing and only that, and refuse bad usage.

Usage: test_scripts.py ROOT
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(".")


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.log = self.folder / "log"
        self.log.touch()
        # Each stand-in writes what it was called with.
        self.stand_in("dpkg-query", 'grep -qx "${@: -1}" "$INSTALLED" && printf "ii " || exit 1')
        self.stand_in("apt-get", 'echo "apt-get $*" >>"$LOG"; eval "${APT:-true}"')
        self.stand_in("systemctl", 'echo "systemctl $*" >>"$LOG"')
        self.stand_in("sudo", 'echo "sudo" >>"$LOG"; exec "$@"')

    def stand_in(self, name, body):
        (self.folder / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (self.folder / name).chmod(0o755)

    def run_command(self, *command, **variables):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        environment |= {"LOG": str(self.log), "INSTALLED": str(self.folder / "installed")}
        return subprocess.run(
            command,
            env=environment | variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def ensure(self, sections, missing=(), **variables):
        """Calls ensure_packages with all packages installed but `missing`."""
        wanted = self.run_bash(f"packages_of {sections}").stdout.split()
        self.assertGreater(len(wanted), 3)
        installed = "\n".join(p for p in wanted if p not in missing) + "\n"
        (self.folder / "installed").write_text(installed, encoding="utf-8")
        return self.run_bash(f"ensure_packages {sections}", **variables)

    def run_bash(self, text, **variables):
        script = f"set -euo pipefail; source {ROOT}/scripts/common.sh; {text}"
        return self.run_command("bash", "-c", script, **variables)

    def calls(self):
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line != "sudo"]

    # Packages.
    def test_nothing_missing_asks_nobody(self):
        done = self.ensure("build sim plot test lint")
        self.assertEqual((done.returncode, done.stderr, self.calls()), (0, "", []))

    def test_what_is_missing_is_said_and_installed(self):
        done = self.ensure("build sim", missing=["ninja-build", "ns3"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Installing 2 Debian packages: ninja-build ns3", done.stderr)
        self.assertEqual(len(self.calls()), 1, self.calls())
        self.assertTrue(self.calls()[0].endswith(" ninja-build ns3"), self.calls())

    def test_the_lists_are_updated_only_when_an_install_fails(self):
        self.ensure("build", missing=["cmake"], APT="[[ $1 == update ]]")
        self.assertEqual(
            [call.split()[1] for call in self.calls()], ["install", "update", "install"]
        )

    def test_without_a_network_it_ends_with_3(self):
        done = self.ensure("build", missing=["cmake"], APT="exit 100")
        self.assertEqual(done.returncode, 3)
        self.assertIn("apt-get update failed", done.stderr)

    def test_a_package_that_does_not_exist_ends_with_3(self):
        done = self.ensure("build", missing=["cmake"], APT="[[ $1 == update ]]")
        self.assertEqual(done.returncode, 3)
        self.assertIn("could not install: cmake", done.stderr)

    def test_a_run_needs_no_test_packages(self):
        run = set(self.run_bash("packages_of build sim plot").stdout.split())
        test = set(self.run_bash("packages_of test").stdout.split())
        self.assertIn("libns3-dev", run)
        self.assertIn("libgtest-dev", test)
        self.assertFalse(run & test)

    # The benchmarks' peers, of which one is a service.
    def ensure_idle(self, policy, **variables):
        return self.run_bash("ensure_idle bench", SLUICE_POLICY_FILE=str(policy), **variables)

    def test_a_peer_that_is_a_service_may_not_start(self):
        (self.folder / "installed").touch()
        policy = self.folder / "policy-rc.d"
        done = self.ensure_idle(policy, APT=f'{policy} >>"$LOG" || echo "may not: $?" >>"$LOG"')
        self.assertEqual(done.returncode, 0, done.stderr)
        install, may_not = self.calls()[:2]
        self.assertIn(" openvswitch-switch-dpdk", install)
        self.assertEqual(may_not, "may not: 101")
        self.assertFalse(policy.exists())

    def test_the_policy_for_services_goes_also_when_an_install_fails(self):
        (self.folder / "installed").touch()
        policy = self.folder / "policy-rc.d"
        self.assertEqual(self.ensure_idle(policy, APT="exit 100").returncode, 3)
        self.assertFalse(policy.exists())

    def test_a_policy_for_services_of_the_machine_stays(self):
        (self.folder / "installed").touch()
        policy = self.folder / "policy-rc.d"
        policy.write_text("mine", encoding="utf-8")
        self.assertEqual(self.ensure_idle(policy).returncode, 0)
        self.assertEqual(policy.read_text(encoding="utf-8"), "mine")

    # Usage.
    def refused(self, code, *parts, command):
        done = self.run_command(*command)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(self.calls(), [])

    def test_programs_on_real_packets_keep_the_options_of_the_folder(self):
        self.stand_in("cmake", 'echo "cmake $*" >>"$LOG"; touch "$4/build.ninja"')
        self.stand_in("ninja", "true")
        text = ("configure here -DSLUICE_TESTS=OFF -DSLUICE_DPDK=OFF; build_dir=here; "
                "ensure_packages() { :; }; ensure_idle() { :; }; build() { :; }; "
                "build_programs dpdk")
        done = self.run_bash(text)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([call.split(" ", 7)[7] for call in self.calls()],
                         ["-DSLUICE_TESTS=OFF -DSLUICE_DPDK=OFF",
                          "-DSLUICE_TESTS=OFF -DSLUICE_DPDK=ON"])

    def test_run_refuses_bad_usage(self):
        run = str(ROOT / "run")
        self.refused(2, "unknown experiment; got nope", command=[run, "nope"])
        self.refused(2, "unknown experiment; got ../sim", command=[run, "../sim"])
        self.refused(
            2, "unknown backend; got bess; expected sim or dpdk", command=[run, "--backend", "bess"]
        )
        self.refused(2, "--results: missing value", command=[run, "--results"])
        self.refused(2, "unknown option; got --fast", command=[run, "--fast"])
        self.refused(2, "too many experiments", command=[run, "stuck", "tcp"])

    def test_run_helps(self):
        done = self.run_command(str(ROOT / "run"), "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("Examples:", done.stdout)
        for folder in (ROOT / "experiments").iterdir():
            if folder.is_dir():
                self.assertIn(folder.name, done.stdout)

    # The table at the end of a run.
    def test_the_summary_shows_numbers_and_plots(self):
        (self.folder / "summary.json").write_text(
            json.dumps({"packets": {"sent": 1234567}, "p99": 2.5, "list": [1]}), encoding="utf-8"
        )
        (self.folder / "load.svg").touch()
        done = self.run_command(str(ROOT / "scripts/summary.py"), str(self.folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1,234,567", done.stdout)
        self.assertIn("2.500", done.stdout)
        self.assertIn("load.svg", done.stdout)
        self.assertNotIn("list", done.stdout)

    # The table of a benchmark.
    def bench_table(self, *prefixes):
        row = {"value": 12.345, "unit": "Mpps", "peer": None, "peer_value": None, "ratio": None,
               "required": None, "aim": None}
        judged = row | {"peer": "testpmd", "peer_value": 24.0, "ratio": 0.514, "required": 0.6}
        rows = [row | {"id": "a.plain"}, judged | {"id": "a.missed"},
                judged | {"id": "b.held", "ratio": 0.7, "aim": 0.9},
                judged | {"id": "b.failed", "ratio": None}]
        (self.folder / "bench.json").write_text(json.dumps(rows), encoding="utf-8")
        done = self.run_command(str(ROOT / "scripts/bench_table.py"),
                                str(self.folder / "bench.json"), *prefixes)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()[2:]

    def test_the_bench_table_shows_what_was_compared_and_what_was_missed(self):
        self.assertEqual(self.bench_table(), [
            "| `a.missed` | 12.3 Mpps | testpmd: 24 | **0.514** | 0.6 |  |",
            "| `b.held` | 12.3 Mpps | testpmd: 24 | 0.7 | 0.6 | 0.9 |",
            "| `b.failed` | 12.3 Mpps | testpmd: 24 | **none** | 0.6 |  |",
        ])

    def test_the_bench_table_shows_the_rows_that_are_named(self):
        shown = self.bench_table("a.")
        self.assertEqual([line.split("`")[1] for line in shown], ["a.plain", "a.missed"])

    def test_a_folder_without_a_summary_is_a_failure(self):
        done = self.run_command(str(ROOT / "scripts/summary.py"), str(self.folder))
        self.assertEqual(done.returncode, 1)
        self.assertIn("no summary.json", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
