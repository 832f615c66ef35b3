"""The host daemons: their site file, their control sockets."""

import json
import os
import signal
import socket

from .problem import Failure
from .processes import Child

READY_SECONDS = 30.0
ANSWER_SECONDS = 5.0
STOP_SECONDS = 30.0


def write_site_file(path, deployment):
    """YAML, of which JSON is a part."""
    hosts = {host: {"ports": {}} for host in deployment.hosts}
    for port in deployment.ports.values():
        hosts[port.host]["ports"][port.name] = {"interface": port.interface}
    with open(path, "w", encoding="utf-8") as stream:
        json.dump({"hosts": hosts}, stream, indent=2)


class HostDaemon:
    """A `sluice host` in the namespace of its host."""

    def __init__(self, name, deployment, network, folder, programs, time_zero_ns, eal_arguments):
        self.name = name
        self.results = folder.file(f"host-{name}")
        self.socket_path = folder.file(f"{name}.control")
        command = [programs.host, deployment.file, "--name", name, "--site",
                   folder.file("site.yaml"), "--results", self.results, "--time-zero",
                   time_zero_ns, "--run-dir", folder.path]
        if eal_arguments:
            command += ["--", *eal_arguments]
        # TERM: when we are killed, it still takes its instances along.
        self.child = Child(f"host-{name}", network.of_host(name), command, folder,
                           death_signal="TERM")
        self.killed = False
        self.received_packets = {}  # By the port's full name, at the end of the load.

    def remember_ports(self):
        if not self.killed:
            self.received_packets = {f"{self.name}.{port['name']}": port["received_packets"]
                                     for port in self.status().get("ports", [])}

    @property
    def results_so_far(self):
        """Its folder of results; of a killed one, which never got to name it, the unfinished."""
        if os.path.isdir(self.results):
            return self.results
        parent, name = os.path.split(self.results)
        return os.path.join(parent, f".{name}.partial-{self.child.pid}")

    @property
    def versions(self):
        """As its own manifest has them."""
        try:
            with open(os.path.join(self.results, "manifest.json"), encoding="utf-8") as stream:
                return json.load(stream).get("versions", {})
        except (OSError, ValueError):
            return {}

    def request(self, what, seconds=ANSWER_SECONDS):
        """The answer to one request, or None when nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(seconds)
                stream.connect(self.socket_path)
                stream.sendall(json.dumps(what).encode() + b"\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    part = stream.recv(1 << 16)
                    if not part:
                        return None
                    answer += part
        except OSError:
            return None
        try:
            return json.loads(answer)
        except ValueError as error:
            raise Failure(self.socket_path, "an answer is not JSON", repr(answer[:80])) from error

    def status(self):
        return self.request({"do": "status"}) or {}

    def is_ready(self):
        return bool(self.status().get("ready"))

    def instance_pids(self, service=None, number=None):
        """The processes of its instances; of one when it is named."""
        return [each["pid"] for each in self.status().get("instances", [])
                if each.get("pid") and (service is None or each["service"] == service)
                and (number is None or each["number"] == number)]

    def kill(self):
        """As a power failure: the daemon and all that it runs, at once."""
        pids = self.instance_pids()
        self.killed = True
        self.child.expected_to_end = True
        self.child.signal(signal.SIGKILL)
        for pid in pids:
            signal_process(pid, signal.SIGKILL)

    def stop(self):
        if not self.killed:
            self.child.end(STOP_SECONDS)


def signal_process(pid, number):
    """@return Whether there was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
