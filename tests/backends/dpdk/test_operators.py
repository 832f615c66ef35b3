"""`sluice ctl` and `sluice top` with running hosts."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import termios
import time
import subprocess

import daemon

TWO = """\
name: two
hosts: {%s: {cores: 6, clock: 2 GHz, buffers: 4096,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  watch: {function: monitor, instances: {min: 1, max: 2}}
chains:
  all: {from: %s.p0, to: %s.p1, steps: [watch]}
"""


def deployment(host):
    return TWO.replace("%s", host)


class Ctl(daemon.Case):
    def ctl(self, *arguments):
        return self.sluice("ctl", "--run-dir", self.folder / "run", *arguments)

    def test_no_host_runs(self):
        code, out, err = self.ctl("status")
        self.assertEqual((code, out), (3, ""))
        self.assertIn("no host runs with its sockets in", err)

    def test_what_a_killed_host_left_is_no_host(self):
        host = self.start_host()
        host.kill()
        self.assertTrue(host.control.exists())
        self.assertEqual(self.ctl("status")[0], 3)

    def test_status_as_a_table_and_as_json(self):
        host = self.start_host(deployment("h1"))
        code, out, err = self.ctl("status")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"h1  two  up \d+ s  ready")
        pid = host.instances()["watch.1"]["pid"]
        self.assertRegex(out, rf"(?m)^watch\.1 +running +{pid} ")
        code, out, err = self.ctl("status", "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["instances"][0]["pid"], pid)
        host.stop()

    def test_with_two_hosts_one_must_be_named(self):
        hosts = [self.start_host(deployment(name), name=name) for name in ("h1", "h2")]
        code, out, err = self.ctl("status")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("expected one of h1, h2", err)
        code, out, err = self.ctl("--host", "h3", "status")
        self.assertEqual((code, out), (3, ""))
        self.assertIn("no such host runs; got h3; expected one of h1, h2", err)
        code, out, _ = self.ctl("--host", "h2", "status")
        self.assertEqual((code, out[:3]), (0, "h2 "))
        for host in hosts:
            host.stop()

    def test_start_drain_and_what_is_refused(self):
        host = self.start_host(deployment("h1"))
        self.assertEqual(self.ctl("start", "watch"), (0, "h1: start watch: done\n", ""))
        host.wait_until(lambda _: len(host.instances("watch")) == 2)
        code, out, err = self.ctl("start", "watch")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("host h1: start: watch: too many instances; got 3; "
                      "expected at most 2, its maximum", err)
        code, _, err = self.ctl("start", "wach")
        self.assertEqual(code, 1)
        self.assertIn("unknown service; got wach; expected watch", err)
        self.assertEqual(self.ctl("drain", "watch.1")[0], 0)
        host.wait_until(lambda _: list(host.instances("watch")) == ["watch.2"])
        self.assertEqual(self.ctl("stop", "watch.2")[0], 0)  # Past the minimum of the file.
        host.wait_until(lambda _: not host.instances("watch"))
        code, _, err = self.ctl("drain", "watch.2")
        self.assertEqual(code, 1)
        self.assertIn("host h1: drain: unknown instance; got watch.2", err)
        self.assertEqual(self.ctl("stop", "nobody.1")[0], 1)
        self.assertEqual(self.ctl("start", "watch")[0], 0)
        host.wait_until(lambda _: list(host.instances("watch")) == ["watch.3"])
        host.stop()

    def test_quarantine_replaces_the_process(self):
        host = self.start_host(deployment("h1"))
        self.assertEqual(self.ctl("quarantine", "watch.1")[0], 0)
        host.wait_until(lambda _: list(host.instances("watch")) == ["watch.2"])
        host.stop()

    def test_shutdown_ends_the_host_in_order(self):
        host = self.start_host(deployment("h1"))
        self.assertEqual(self.ctl("shutdown")[0], 0)
        self.assertEqual(host.wait_exit(), 0)

    def test_wrong_usage_is_2(self):
        self.assertEqual(self.ctl()[0], 2)
        self.assertEqual(self.ctl("drain")[0], 2)


class Top(daemon.Case):
    def test_once_without_a_host_is_3(self):
        code, out, err = self.sluice("top", "--once", "--run-dir", self.folder)
        self.assertEqual((code, out), (3, ""))
        self.assertIn("no host runs", err)

    def test_without_a_terminal_it_prints_all_hosts_once(self):
        hosts = [self.start_host(deployment(name), name=name) for name in ("h1", "h2")]
        code, out, err = self.sluice("top", "--run-dir", self.folder / "run", "--interval", "0.5")
        self.assertEqual((code, err), (0, ""))
        for host in hosts:
            self.assertRegex(out, rf"(?m)^{host.name}  two  up \d+ s  ready$")
        self.assertEqual(len(re.findall(r"(?m)^p0 +0 +0 +0 +0 +0$", out)), 2)
        self.assertIn("in packets/s", out)
        code, out, _ = self.sluice("top", "--once", "--run-dir", self.folder / "run",
                                   "--host", "h2", "--interval", "0.5")
        self.assertEqual((code, re.findall("(?m)^h[12]", out)), (0, ["h2"]))
        for host in hosts:
            host.stop()

    def test_on_a_terminal_it_redraws_until_q(self):
        host = self.start_host(deployment("h1"))
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        before = termios.tcgetattr(theirs)
        with subprocess.Popen(
                [daemon.SLUICE, "top", "--run-dir", self.folder / "run", "--interval", "0.2"],
                stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            seen = self.read_until(ours, lambda text: text.count("packets/s") >= 3)
            os.write(ours, b"q")
            self.assertEqual(process.wait(daemon.SECONDS_MAX), 0)
            self.assertEqual(process.stderr.read(), b"")
        seen += self.read_until(ours, lambda text: "\x1b[?1049l" in text)
        self.assertEqual(termios.tcgetattr(theirs), before)
        os.close(ours)
        os.close(theirs)
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
        self.assertLessEqual(max(map(len, re.split(r"[\r\n]+", plain))), 80)
        self.assertRegex(plain, r"watch\.1 +running")
        host.stop()

    def read_until(self, terminal, condition):
        text, deadline = "", time.monotonic() + daemon.SECONDS_MAX
        while not condition(text):
            ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
            self.assertTrue(ready, text)
            text += os.read(terminal, 65536).decode()
        return text


if __name__ == "__main__":
    daemon.main()
