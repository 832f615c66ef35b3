"""Tries `sluice` and `sluice check` as a user does: arguments in, exit code, stdout and stderr out.

Usage: test_cli.py PATH_OF_SLUICE SOURCE_FOLDER
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SLUICE = ""
SOURCE = pathlib.Path()


def run(*arguments, program=None, cwd=None, env=None):
    """Runs sluice; gives exit code, stdout, stderr."""
    done = subprocess.run([program or SLUICE, *arguments], capture_output=True, cwd=cwd, env=env,
                          timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Front(unittest.TestCase):
    def test_help_lists_every_verb_and_an_example(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        for verb in "check sim host nf testbed apply ctl place top bench plot".split():
            self.assertRegex(out, rf"(?m)^  {verb} +\S")
        self.assertIn("Example:", out)

    def test_no_verb_is_wrong_usage(self):
        code, out, err = run()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("Usage:", err)

    def test_unknown_verb_names_the_nearest(self):
        code, out, err = run("chekc")
        self.assertEqual((code, out), (2, ""))
        self.assertIn('got "chekc"', err)
        self.assertIn("did you mean check?", err)
        self.assertEqual(err.count("\n"), 1)

    def test_verb_that_this_build_lacks_says_how_to_get_it(self):
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(SLUICE, pathlib.Path(folder) / "sluice")
            code, out, err = run("sim", program=alone, env={"PATH": "/nonexistent"})
        self.assertEqual((code, out), (3, ""))
        self.assertIn("SLUICE_SIM", err)

    def test_verb_is_found_beside_in_libexec_and_in_path(self):
        for place in ("bin", "libexec/sluice", "elsewhere"):
            with tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                (root / "bin").mkdir()
                (root / place).mkdir(parents=True, exist_ok=True)
                alone = shutil.copy(SLUICE, root / "bin" / "sluice")
                script = root / place / "sluice-sim"
                script.write_text('#!/bin/sh\necho "$# $1"\nexit 7\n')
                script.chmod(0o755)
                env = {"PATH": f"/usr/bin:/bin:{root / 'elsewhere'}"}
                code, out, _ = run("sim", "a b", program=alone, env=env)
            self.assertEqual((code, out), (7, "1 a b\n"), place)


class Check(unittest.TestCase):
    def setUp(self):
        self.good = SOURCE / "tests/golden/good"
        self.bad = SOURCE / "tests/golden/bad"

    def test_bad_files_give_their_message_and_nothing_else(self):
        files = sorted(self.bad.glob("*.yaml"))
        self.assertGreaterEqual(len(files), 60)
        for path in files:
            with self.subTest(path.name):
                code, out, err = run("check", path.name, cwd=self.bad)
                self.assertEqual((code, out), (2, ""))
                self.assertEqual(err, path.with_suffix(".expected").read_text(encoding="utf-8"))

    def test_good_file_prints_a_summary(self):
        code, out, err = run("check", "autoscale.yaml", cwd=self.good)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("chain web: h1.p0 -> firewall -> ids [suspicious: drop] -> h1.p1", out)

    def test_json_follows_the_schema(self):
        _, schema, _ = run("check", "--schema")
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        validator = jsonschema.Draft202012Validator(json.loads(schema))
        for path in sorted(self.good.glob("*.yaml")):
            code, out, err = run("check", "--json", path.name, cwd=self.good)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual([e.message for e in validator.iter_errors(json.loads(out))], [])

    def test_schema_refuses_an_unknown_key(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        _, schema, _ = run("check", "--schema")
        _, out, _ = run("check", "--json", "autoscale.yaml", cwd=self.good)
        tree = json.loads(out)
        tree["hosts"]["h1"]["coers"] = 3
        validator = jsonschema.Draft202012Validator(json.loads(schema))
        self.assertFalse(validator.is_valid(tree))

    def test_set_changes_a_value(self):
        code, out, _ = run("check", "--json", "--set", "run.seed=99", "--set",
                           "scaling.up.occupancy=0.5", "autoscale.yaml", cwd=self.good)
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out)["run"]["seed"], 99)
        self.assertEqual(json.loads(out)["scaling"]["up"]["occupancy"], "0.5")

    def test_set_of_a_bad_value_names_the_option(self):
        code, out, err = run("check", "--set", "run.seed=x", "autoscale.yaml", cwd=self.good)
        self.assertEqual((code, out), (2, ""))
        self.assertTrue(err.startswith("--set run.seed=x: run.seed: "), err)

    def test_set_without_a_value(self):
        code, _, err = run("check", "--set", "run.seed", "autoscale.yaml", cwd=self.good)
        self.assertEqual(code, 2)
        self.assertIn("expected KEY=VALUE", err)

    def test_one_bad_file_of_several_leaves_stdout_empty(self):
        code, out, err = run("check", "autoscale.yaml", "../bad/empty.yaml", cwd=self.good)
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(err.count("\n"), 1)

    def test_bad_sites_give_their_message_and_nothing_else(self):
        folder = SOURCE / "tests/golden/bad_sites"
        files = sorted(folder.glob("*.yaml"))
        self.assertGreaterEqual(len(files), 50)
        for path in files:
            with self.subTest(path.name):
                code, out, err = run("check", "../good/everything.yaml", "--site", path.name,
                                     cwd=folder)
                self.assertEqual((code, out), (2, ""))
                self.assertEqual(err, path.with_suffix(".expected").read_text(encoding="utf-8"))

    def test_good_site_adds_to_the_summary(self):
        code, out, err = run("check", "everything.yaml", "--site", "../good_sites/everything.yaml",
                             cwd=self.good)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("../good_sites/everything.yaml: ok, site\n"
                      "  host h1: p0 = interface veth0, p1 = vdev net_pcap0,rx_pcap=in.pcap,"
                      "tx_pcap=out.pcap; workers on cores 0 1; instances on core 1; "
                      "control on core 0; metrics at 127.0.0.1:9200\n", out)

    def test_site_that_cannot_be_read(self):
        code, out, err = run("check", "everything.yaml", "--site", "none.yaml", cwd=self.good)
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(err, "none.yaml: cannot be read: No such file or directory; "
                              "expected a site file\n")

    def test_site_schema_takes_the_good_site_and_refuses_an_unknown_key(self):
        try:
            import jsonschema
            import yaml
        except ImportError:
            self.skipTest("python3-jsonschema or python3-yaml is not installed")
        code, schema, err = run("check", "--site-schema")
        self.assertEqual((code, err), (0, ""))
        validator = jsonschema.Draft202012Validator(json.loads(schema))
        # Texts stay texts: YAML 1.1 would take "no" for a truth value.
        text = (SOURCE / "tests/golden/good_sites/everything.yaml").read_text(encoding="utf-8")
        tree = yaml.load(text, yaml.BaseLoader)
        for host in tree["hosts"].values():
            cores = host["cores"]
            host["cores"] = {"workers": [int(c) for c in cores["workers"]],
                             "instances": [int(c) for c in cores["instances"]],
                             "control": int(cores["control"])}
        self.assertEqual([e.message for e in validator.iter_errors(tree)], [])
        tree["hosts"]["h1"]["ports"]["p0"]["pci"] = "0000:00:04.0"  # A second device.
        self.assertFalse(validator.is_valid(tree))

    def test_files_that_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            huge = pathlib.Path(folder) / "huge.yaml"
            with open(huge, "wb") as file:
                file.truncate(100 << 20)
            cases = [(folder, "it is a directory"),
                     (folder + "/none.yaml", "No such file or directory"),
                     ("", "No such file or directory"),
                     (str(huge), "file too large; expected at most 1048576 bytes")]
            if os.geteuid() != 0:
                locked = pathlib.Path(folder) / "locked.yaml"
                locked.write_text("name: x\n")
                locked.chmod(0)
                cases.append((str(locked), "Permission denied"))
            for path, words in cases:
                with self.subTest(path):
                    code, out, err = run("check", path)
                    self.assertEqual((code, out), (2, ""))
                    self.assertIn(words, err)
                    self.assertEqual(err.count("\n"), 1)

    def test_wrong_usage(self):
        for arguments in ([], ["--foo"], ["--schema", "x.yaml"], ["--set"]):
            with self.subTest(arguments):
                code, out, err = run("check", *arguments)
                self.assertEqual((code, out), (2, ""))
                self.assertNotEqual(err, "")

    def test_help_has_an_example(self):
        code, out, _ = run("check", "--help")
        self.assertEqual(code, 0)
        self.assertIn("Example:", out)


if __name__ == "__main__":
    SLUICE = str(pathlib.Path(sys.argv[1]).resolve())
    SOURCE = pathlib.Path(sys.argv[2]).resolve()
    unittest.main(argv=sys.argv[:1])
