"""Real hosts for tests: starts `sluice host` in a run directory of its own, talks to it, ends it.

A test file of this folder imports it, gets the paths from ctest, and runs:

    class Something(daemon.Case):
        def test_something(self):
            host = self.start_host(deployment, {"p0": "net_null0,no-rx=1", "p1": "net_null1"})
            host.wait_until(lambda status: status["flows"] == 3)
            host.stop()          # SIGTERM; exit code 0 and no invariant broken, else the test fails

    if __name__ == "__main__":
        daemon.main()
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

SECONDS_MAX = 60  # For anything that must happen at all; how fast is a matter of benchmarks.
POLL_SECONDS = 0.02

SLUICE = pathlib.Path()
SOURCE = pathlib.Path()

FORWARD = """\
name: forward
hosts: {h1: {cores: 4, clock: 2 GHz, buffers: 4096,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  forward: {function: forward}
chains:
  all: {from: h1.p0, to: h1.p1, steps: [forward]}
"""
# Serves from the first packet on; a process would miss what a capture brings before it has started.
FORWARD_INLINE = FORWARD.replace("{function: forward}", "{function: forward, run: inline}")
PCAP_HEADER = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)  # Times in ns; Ethernet.
NO_TRAFFIC = {"p0": "net_null0,no-rx=1", "p1": "net_null1,no-rx=1"}


def pcap_source(path, number=0):
    """A port that receives the file's frames once, and loses what it is to send."""
    return f"net_pcap{number},rx_pcap={path},tx_pcap=/dev/null"


def udp_frame(source_port, size=60, destination_port=80):
    """An Ethernet frame with IPv4 and UDP, without a UDP checksum."""
    payload = bytes(size - 42)
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", total ^ 0xFFFF) + head[12:]
    return bytes.fromhex("020000000002" "020000000001" "0800") + head + udp


def pcap_record(at_ns, frame):
    """A frame as it stands in a pcap file behind PCAP_HEADER."""
    return struct.pack("<IIII", *divmod(at_ns, 1_000_000_000), len(frame), len(frame)) + frame


def write_pcap(path, frames, times_ns=None):
    """Frames at their times, or 1 us apart."""
    with open(path, "wb") as file:
        file.write(PCAP_HEADER)
        for i, frame in enumerate(frames):
            file.write(pcap_record(1000 * i if times_ns is None else times_ns[i], frame))
    return path


def read_pcap(path):
    """[(time in ns, frame)] of a file in either resolution."""
    data = pathlib.Path(path).read_bytes()
    scale = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}[struct.unpack_from("<I", data)[0]]
    at, frames = 24, []
    while at < len(data):
        seconds, part, length, _ = struct.unpack_from("<IIII", data, at)
        frames.append((seconds * 1_000_000_000 + part * scale, data[at + 16:at + 16 + length]))
        at += 16 + length
    return frames


def wait_until(condition, what, seconds=SECONDS_MAX):
    """Polls until `condition()` gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(POLL_SECONDS)


def no_containers():
    """What keeps this machine from containers, or an empty text."""
    if shutil.which("crun") is None:
        return "crun is not installed"
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "--net", "true"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "user namespaces cannot be made: " + done.stderr.strip()
    hybrid = not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return "hybrid control groups need root" if hybrid and os.geteuid() != 0 else ""


class Host:
    """One `sluice host`. Made by Case.start_host or Case.spawn_host."""

    def __init__(self, folder, deployment, ports, *, name="h1", site=None, arguments=(), eal=(),
                 run_dir=None, environment=None):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.run_dir = pathlib.Path(run_dir or self.folder / "run")
        if isinstance(deployment, pathlib.Path):
            self.file = deployment
        else:
            self.file = self.folder / f"{name}.yaml"
            self.file.write_text(deployment, encoding="utf-8")
        # JSON is YAML. No metrics unless a test asks for them: it has the machine's ports to share.
        devices = {port: {"vdev": device} if isinstance(device, str) else device
                   for port, device in ports.items()}
        settings = {"metrics": "off", "ports": devices, **(site or {})}
        self.site = self.folder / f"{name}.site.yaml"
        self.site.write_text(json.dumps({"hosts": {name: settings}}), encoding="utf-8")
        number = len(list(self.folder.glob(f"{name}.*.log"))) + 1
        self.log_path = self.folder / f"{name}.{number}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [SLUICE, "host", self.file, "--name", name, "--site", self.site,
                 "--run-dir", self.run_dir, *map(str, arguments), *(["--", *eal] if eal else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def control(self):
        return self.run_dir / f"{self.name}.control"

    def request(self, **message):
        """One request to the control socket, and its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS_MAX)
            connection.connect(str(self.control))
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = lines.readline()
        if not answer:
            raise ConnectionResetError(f"host {self.name} gave no answer")
        return json.loads(answer)

    def status(self):
        return self.request(do="status")

    def instances(self, service=None, state="running"):
        """The instances that are in a state, by name."""
        return {each["name"]: each for each in self.status()["instances"]
                if each["state"] == state and service in (None, each["service"])}

    def wait_until(self, condition, what="a status"):
        """Polls until `condition(status)` is true, and gives that status. The host must live."""
        def look():
            if self.process.poll() is not None:
                raise AssertionError(f"host ended with {self.process.returncode}:\n{self.log}")
            try:
                status = self.status()
            except (FileNotFoundError, ConnectionError):
                return None
            return status if condition(status) else None
        return wait_until(look, f"{what}; log:\n{self.log}")

    def wait_ready(self):
        self.wait_until(lambda status: status["ready"], "ready")
        return self

    def wait_exit(self):
        """The exit code of a host that ends by itself."""
        return self.process.wait(SECONDS_MAX)

    def stop(self, expected_code=0):
        """SIGTERM. A wrong exit code, or an invariant that broke, fails the test with the log."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit()
        if code != expected_code or (expected_code == 0 and "invariant broke" in self.log):
            raise AssertionError(f"exit {code}; expected {expected_code}:\n{self.log}")

    def kill(self):
        """What a test that failed leaves behind, and what tests of crashes do."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS_MAX)


class Case(unittest.TestCase):
    """Has a folder, and ends the hosts that a test left running."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def spawn_host(self, deployment=FORWARD, ports=None, **options):
        """Starts a host and waits for nothing."""
        host = Host(self.folder, deployment, NO_TRAFFIC if ports is None else ports, **options)
        self.addCleanup(self.expect_sane, host)
        self.addCleanup(host.kill)
        return host

    @staticmethod
    def expect_sane(host):
        """What a sanitizer says of a host, or of its functions, fails the test all the same."""
        if re.search("(Thread|Address|Leak)Sanitizer:|runtime error:", host.log):
            raise AssertionError(host.log)

    def start_host(self, deployment=FORWARD, ports=None, **options):
        """Starts a host and waits until all its instances serve."""
        return self.spawn_host(deployment, ports, **options).wait_ready()

    def sluice(self, *arguments, **options):
        """Another verb, to its end: exit code, stdout, stderr."""
        done = subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False, **options)
        return done.returncode, done.stdout, done.stderr


def main():
    """Runs the tests of the calling file: FILE SLUICE SOURCE_FOLDER [unittest's arguments]."""
    global SLUICE, SOURCE  # pylint: disable=global-statement
    SLUICE, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[3:]])
