"""What tests of the testbed share: a folder of programs, runs in it, and what must not be left."""

import contextlib
import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SKIPPED = 77
SECONDS_MAX = 90


def cannot_run():
    """Why not, or an empty text."""
    if os.geteuid() != 0:
        return "needs root"
    name = f"sluice-try-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "network namespaces cannot be made: " + done.stderr.strip()
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


def namespaces():
    return {path.name for path in pathlib.Path("/run/netns").glob("sluice-*")}


def run_folders():
    return set(pathlib.Path("/run/sluice").glob("testbed-*"))


class Case(unittest.TestCase):
    """Runs of `sluice-testbed` from a folder of programs, in a folder of its own."""

    programs = None  # Set by the main of a test.

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-testbed-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.before = namespaces(), run_folders()

    def write(self, text, name="file.yaml"):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, *arguments, **environment):
        process = subprocess.Popen(
            [self.programs / "sluice-testbed", *map(str, arguments)], cwd=self.folder,
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        """What a failed test leaves running: in good order, so that it leaves nothing."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate()

    def finish(self, process, code):
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def run_testbed(self, *arguments, code=0, **environment):
        return self.finish(self.start(*arguments, "--quiet", **environment), code)

    def wait_for(self, what, condition, process):
        """Waits until `condition()` holds, as long as `process` runs."""
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            if process.poll() is not None:
                self.fail(f"ended before {what}: {process.stderr.read()}")
            self.assertLess(time.monotonic(), deadline, f"waited too long for {what}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def running(self, file, *arguments, **environment):
        """A run whose traffic flows; and its namespaces."""
        process = self.start(file, "--quiet", "--results", "out", *arguments, **environment)
        folder = lambda: next(iter(run_folders() - self.before[1]), None)  # noqa: E731
        self.wait_for("the start of the traffic", lambda: folder() is not None and any(
            "offered_bps" in path.read_text() for path in folder().glob("port-*/series.csv")),
                      process)
        yield process, namespaces() - self.before[0]

    @staticmethod
    def pids_in(names):
        """Of the processes in network namespaces."""
        inodes = {os.stat(f"/run/netns/{name}").st_ino for name in names}
        pids = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.stat(path / "ns/net").st_ino in inodes:
                    pids.append(int(path.name))
            except OSError:
                pass  # Ended meanwhile.
        return pids

    @staticmethod
    def lives(pid):
        """Whether a process still does something; a zombie only waits for its parent."""
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] not in "ZX"

    def assert_nothing_left(self):
        self.assertEqual((namespaces(), run_folders()), self.before)

    # Results.
    def result(self, name, folder="out"):
        return json.loads((self.folder / folder / name).read_text(encoding="utf-8"))

    def events(self, folder="out"):
        lines = (self.folder / folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def rows(self, metric, folder="out"):
        with open(self.folder / folder / "series.csv", newline="", encoding="utf-8") as stream:
            return [row for row in csv.DictReader(stream) if row["metric"] == metric]


def main_with_a_real_host(programs):
    """Runs the tests of the calling file; skips them where no host can run."""
    reason = cannot_run()
    if not reason and not (programs / "sluice-host").exists():
        reason = "this build has no sluice-host"
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    Case.programs = programs
    unittest.main(module="__main__")
