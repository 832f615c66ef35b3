"""Instances in containers (`run: container`). Skipped, in words, where crun cannot start one."""

import json
import os
import pathlib
import signal
import unittest

import daemon

DEPLOYMENT = """\
name: contained
hosts: {h1: {cores: 4, clock: 2 GHz, buffers: 4096,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  # Makes of the endless source a stream that a file holds.
  limit: {function: rate_limiter, rate: 2 Mbps, burst: 2 kB, run: inline}
  boxed: {function: forward, run: container}
chains:
  all: {from: h1.p0, to: h1.p1, steps: [limit, boxed]}
"""
ONLY_BOXED = DEPLOYMENT.replace("[limit, boxed]", "[boxed]").replace("limit:", "unused:")


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")


def status_of(pid):
    return dict(line.split(":\t", 1) for line in proc(pid, "status").splitlines() if ":\t" in line)


def is_running(pid):
    """A zombie does nothing any more; it waits for its parent."""
    try:
        return status_of(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@unittest.skipIf(daemon.no_containers(), daemon.no_containers())
class Container(daemon.Case):
    def start_boxed(self, deployment=ONLY_BOXED, ports=None):
        host = self.start_host(deployment, ports)
        return host, host.instances("boxed")["boxed.1"]

    def assert_nothing_left(self, host, pids):
        self.assertEqual([pid for pid in pids if is_running(pid)], [])
        self.assertFalse((host.run_dir / "h1.containers").exists())
        self.assertNotIn(str(host.run_dir), proc("self", "mounts"))

    def test_packets_pass_through_a_container(self):
        frames = [daemon.udp_frame(1000 + i) for i in range(16)]
        source = daemon.write_pcap(self.folder / "in.pcap", frames)
        sink = self.folder / "out.pcap"
        host, boxed = self.start_boxed(DEPLOYMENT, {
            "p0": f"net_pcap0,rx_pcap={source},tx_pcap=/dev/null,infinite_rx=1",
            "p1": f"net_pcap1,tx_pcap={sink}"})
        host.wait_until(lambda now: now["ports"][1]["sent_packets"] > 100, "packets at p1")
        self.assertGreater(boxed["start_ns"], 0)
        host.stop()
        got = {frame for _, frame in daemon.read_pcap(sink)}
        self.assertTrue(got)
        self.assertLessEqual(got, set(frames))
        self.assert_nothing_left(host, [boxed["pid"]])

    def test_its_walls(self):
        host, boxed = self.start_boxed()
        pid = boxed["pid"]
        status = status_of(pid)
        self.assertEqual([status[name] for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")],
                         ["0" * 16] * 3 + ["1"])
        own = 65534 if os.geteuid() == 0 else os.geteuid()
        self.assertEqual(status["Uid"].split(), [str(own)] * 4)
        for name in ("user", "net", "mnt", "pid", "ipc", "uts"):
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{name}"),
                                os.readlink(f"/proc/self/ns/{name}"), name)
        self.assertEqual(len(proc(pid, "net/route").splitlines()), 1)  # Its title, and no route.
        writable = [line for line in proc(pid, "mounts").splitlines()
                    if "ro" not in line.split()[3].split(",") and line.split()[1] != "/dev"
                    and not line.split()[1].startswith("/dev/")]
        self.assertEqual(writable, [])
        host.stop()

    def test_a_killed_container_is_replaced(self):
        host, boxed = self.start_boxed()
        os.kill(boxed["pid"], signal.SIGKILL)
        again = host.wait_until(
            lambda now: [each for each in now["instances"] if each["state"] == "running"
                         and each["pid"] != boxed["pid"]], "another instance")
        pids = [boxed["pid"]] + [each["pid"] for each in again["instances"]]
        self.assertFalse(is_running(boxed["pid"]))
        host.stop()
        self.assert_nothing_left(host, pids)

    def test_a_killed_runtime_takes_its_container_along(self):
        host, boxed = self.start_boxed()
        crun = int(status_of(boxed["pid"])["PPid"])
        self.assertEqual(proc(crun, "comm").strip(), "crun")
        os.kill(crun, signal.SIGKILL)
        host.wait_until(lambda now: any(each["state"] == "running" and each["pid"] != boxed["pid"]
                                        for each in now["instances"]), "another instance")
        self.assertFalse(is_running(boxed["pid"]))
        host.stop()
        self.assert_nothing_left(host, [boxed["pid"], crun])

    def test_a_killed_host_leaves_no_container_and_no_obstacle(self):
        host, boxed = self.start_boxed()
        host.kill()
        daemon.wait_until(lambda: not is_running(boxed["pid"]), "the end of the container")
        host, second = self.start_boxed()
        host.stop()
        self.assert_nothing_left(host, [second["pid"]])

    def test_a_program_that_is_missing_is_said(self):
        text = ONLY_BOXED.replace("{function: forward, run: container}",
                                  "{function: external, program: ./absent, run: container}")
        host = self.spawn_host(text)
        daemon.wait_until(lambda: "absent: No such file or directory" in host.log, "the complaint")
        self.assertTrue(json.dumps(host.status()))  # It lives on.
        host.stop()

    @unittest.skipIf(os.geteuid() != 0, "in a container of his own user a program is no other one")
    def test_a_program_that_nobody_may_start_is_said(self):
        text = ONLY_BOXED.replace("{function: forward, run: container}",
                                  "{function: external, program: ./mine, run: container}")
        mine = self.folder / "mine"
        mine.write_text("#!/bin/sh\n", encoding="utf-8")
        mine.chmod(0o750)
        for folder_mode, complaint in ((0o700, f"{self.folder}: closed to other users"),
                                       (0o755, f"{mine}: closed to other users")):
            self.folder.chmod(folder_mode)
            host = self.spawn_host(text)
            daemon.wait_until(lambda: complaint in host.log, complaint)
            host.stop()


if __name__ == "__main__":
    daemon.main()
