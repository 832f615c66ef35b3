"""Network namespaces and the wires between them, and the removal of what killed runs left.

Names: `sluice-ID-HOST` for a host, `sluice-ID-HOST.PORT` for the world outside of a port, with
eight hex digits of ID. Who made them holds a lock on /run/sluice/testbed-ID/lock while it lives;
so a lock that can be had belongs to nobody, and its namespaces with it.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess

from .problem import EnvironmentProblem

RUN_ROOT = "/run/sluice"
NAMESPACE_ROOT = "/run/netns"
RUN_FOLDER = re.compile(r"^testbed-([0-9a-f]{8})$")
NAMESPACE = re.compile(r"^sluice-([0-9a-f]{8})-")
# Frames on the wire shall be as large as they are, with checksums that are right.
OFFLOADS = ["rx", "off", "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"]
TAG_SIZE = 4
ETHERNET_SIZE = 14
IPERF3_SERVER_COUNT = 16


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise EnvironmentProblem(" ".join(command), "failed", said[-1] if said else "no message")
    return done.stdout


def inside(namespace, *command):
    """The command that runs `command` in a namespace; its pid is that of `command`."""
    return ["nsenter", f"--net={NAMESPACE_ROOT}/{namespace}", "--", *command]


def namespaces():
    try:
        return os.listdir(NAMESPACE_ROOT)
    except FileNotFoundError:
        return []


class RunFolder:
    """/run/sluice/testbed-ID with its lock: sockets, site file and logs of one run."""

    def __init__(self):
        self.id = secrets.token_hex(4)
        self.path = os.path.join(RUN_ROOT, f"testbed-{self.id}")
        # It gets its name with its lock on it: another run must not take it for a leftover.
        unnamed = os.path.join(RUN_ROOT, f".testbed-{self.id}")
        try:
            os.makedirs(unnamed, mode=0o700)
            self.lock = try_lock(unnamed)
            os.rename(unnamed, self.path)
        except OSError as error:
            raise EnvironmentProblem(self.path, "cannot be made", error.strerror) from error

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


def try_lock(folder):
    """A descriptor that holds the folder's lock, or None when another process does."""
    try:
        lock = os.open(os.path.join(folder, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None  # Removed meanwhile.
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def remove_namespace(name):
    """Ends what still runs in a namespace of ours, and removes it."""
    try:
        pids = run("ip", "netns", "pids", name).split()
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
    except (EnvironmentProblem, ProcessLookupError):
        pass  # Gone meanwhile: what was wanted.
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def remove_leftovers():
    """Removes what runs left that were killed. @return The names of what was removed."""
    removed = []
    living = set()
    for name in sorted(os.listdir(RUN_ROOT)) if os.path.isdir(RUN_ROOT) else []:
        match = RUN_FOLDER.match(name)
        if not match:
            continue
        folder = os.path.join(RUN_ROOT, name)
        lock = try_lock(folder)
        if lock is None:
            living.add(match.group(1))
            continue
        for namespace in sorted(namespaces()):
            if namespace.startswith(f"sluice-{match.group(1)}-"):
                remove_namespace(namespace)
                removed.append(namespace)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        removed.append(folder)
    for namespace in sorted(namespaces()):
        match = NAMESPACE.match(namespace)
        # Without a folder nobody can hold its lock.
        if match and match.group(1) not in living and \
                not os.path.exists(os.path.join(RUN_ROOT, f"testbed-{match.group(1)}")):
            remove_namespace(namespace)
            removed.append(namespace)
    return removed


class Network:
    """The namespaces of one run: one for each host, one for the outside of each port."""

    def __init__(self, run_id, deployment):
        self.run_id = run_id
        self.deployment = deployment
        self.made = []

    def of_host(self, host):
        return f"sluice-{self.run_id}-{host}"

    def outside(self, port_name):
        return f"sluice-{self.run_id}-{port_name}"

    def build(self):
        for host in self.deployment.hosts:
            self._add_namespace(self.of_host(host))
        for port in self.deployment.ports.values():
            self._add_namespace(self.outside(port.full_name))
            self._add_wire(port)
        for source in self.deployment.sources:
            self._add_addresses(source)

    def _add_namespace(self, name):
        self.made.append(name)  # First: an interrupt may come at any time.
        run("ip", "netns", "add", name)
        # Else the kernel's own frames (router solicitations, reports) would be among ours.
        settings = [f"net.ipv6.conf.{which}.disable_ipv6=1" for which in ("all", "default")]
        if os.path.exists("/proc/sys/net/ipv6"):
            run(*inside(name, "sysctl", "-qw", *settings))
        run("ip", "-n", name, "link", "set", "lo", "up")

    def _add_wire(self, port):
        ends = [self.of_host(port.host), self.outside(port.full_name)]
        # An MTU counts neither the Ethernet header nor one tag; a second tag must fit as well.
        largest = port.frame_max - ETHERNET_SIZE - TAG_SIZE
        run("ip", "link", "add", port.interface, "mtu", str(largest), "netns", ends[0], "type",
            "veth", "peer", "name", port.interface, "mtu", str(largest), "netns", ends[1])
        for end in ends:
            run(*inside(end, "ethtool", "-K", port.interface, *OFFLOADS))
            run("ip", "-n", end, "link", "set", port.interface, "up")
        if port.full_name in self.deployment.client_ports:
            # What clients send may be tagged twice on its way.
            run("ip", "-n", ends[1], "link", "set", port.interface, "mtu",
                str(largest - TAG_SIZE))

    def _add_addresses(self, source):
        """As in simulation: clients and servers are of one subnet, so their ARP passes the host."""
        for port_name, addresses in ((source.client_port, [client_address(source)]),
                                     (source.server_port, server_addresses(source))):
            port = self.deployment.ports[port_name]
            for address in addresses:
                run("ip", "-n", self.outside(port_name), "address", "add", f"{address}/24", "dev",
                    port.interface)

    def remove(self):
        while self.made:
            remove_namespace(self.made.pop())


def _subnet(source):
    return f"10.{source.number // 256}.{source.number % 256}"


def client_address(source):
    return f"{_subnet(source)}.1"


def server_addresses(source):
    """An iperf3 server serves one client at a time, so there are several."""
    count = IPERF3_SERVER_COUNT if (source.client, source.kind) == ("iperf3", "tcp") else 1
    return [f"{_subnet(source)}.{2 + number}" for number in range(count)]
