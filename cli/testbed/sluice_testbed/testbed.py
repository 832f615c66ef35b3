"""A run from beginning to end, and that nothing is left of it."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

from .changes import ChangePlan
from .deployment import load
from .faults import FaultPlan
from .host_control import READY_SECONDS, HostDaemon, write_site_file
from .network import Network, RunFolder
from .problem import EXIT_INVARIANT, Failure, InvariantBroke
from .processes import Child, need_tools, wait_until
from .progress import Progress
from .results import Measured, ResultFolder, manifest
from .series import INTERVAL_NS
from .servers import ClientDriver, Servers

LEAD_NS = 300_000_000  # From "all are ready" to the start of the run.
OPEN_SECONDS = 60.0  # For captures to be read.
SETTLE_SECONDS = 10.0  # For traffic programs and clients to end after the run.
TURN_SECONDS = 0.05
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Interrupted(Exception):
    """A signal asked for the end: what was measured so far is kept."""


def interrupt(*_):
    ignore_interrupts()
    raise Interrupted


def ignore_interrupts():
    """What follows is the end in good order, which another Ctrl-C must not break off."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def uninterrupted():
    """For steps that no child is started in: it would inherit that it does not listen."""
    signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)


def catch_interrupts():
    for number in INTERRUPTS:
        signal.signal(number, interrupt)


def restore_interrupts():
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_DFL)


class Testbed:
    def __init__(self, file, programs, options):
        self.programs = programs
        self.options = options
        programs.need()
        self.deployment = load(file, programs)
        clients = {source.client for source in self.deployment.sources}
        need_tools(["ip", "nsenter", "setpriv", "ethtool", "sysctl"] +
                   (["curl", "nginx"] if "curl" in clients else []) +
                   (["iperf3"] if "iperf3" in clients else []))
        self.folder = None
        self.network = None
        self.hosts = {}
        self.servers = []
        self.drivers = []
        self.traffic = {}  # Children, by port.
        self.faults = None
        self.zero_ns = 0  # CLOCK_MONOTONIC at the start of the run.
        self.host_zero_ns = 0  # And at that of the daemons' results.
        self.timing = {}

    def now_ns(self):
        return time.monotonic_ns() - self.zero_ns

    def say_what_to_expect(self):
        cores = len(os.sched_getaffinity(0))
        if self.deployment.slot_count > cores:
            say(f"testbed: {cores} real cores for {self.deployment.slot_count} slots of the file: "
                "functions that burn a core each will share them")

    def run(self, results):
        """@return Whether the run came to its end."""
        self.say_what_to_expect()
        with contextlib.ExitStack() as stack:
            with uninterrupted():
                self.folder = RunFolder()
                stack.callback(self.folder.remove)
            self.network = Network(self.folder.id, self.deployment)
            stack.callback(self.network.remove)
            stack.callback(self.end_all)
            stack.callback(ignore_interrupts)  # The last one in is the first one out.
            complete, reached_ns = False, 0
            try:
                self.start()
                self.go_through()
                complete, reached_ns = True, self.deployment.duration_ns
            except Interrupted:
                if not self.zero_ns:
                    raise  # There is nothing to keep.
                reached_ns = max(0, min(self.now_ns(), self.deployment.duration_ns))
            ignore_interrupts()
            self.end_run(complete)
            self.write(results, complete, reached_ns)
        return complete

    # --- Starting --------------------------------------------------------------------------------

    def start(self):
        deployment, folder = self.deployment, self.folder
        self.network.build()
        write_site_file(folder.file("site.yaml"), deployment)
        self.host_zero_ns = time.monotonic_ns()
        for name in deployment.hosts:
            self.hosts[name] = HostDaemon(name, deployment, self.network, folder, self.programs,
                                          self.host_zero_ns, self.options.eal_arguments)
        for source in deployment.sources:
            self.servers.append(Servers(source, self.network, folder))
        for port in deployment.ports.values():
            self.traffic[port.full_name] = Child(
                f"traffic-{port.full_name}", self.network.outside(port.full_name),
                [self.programs.traffic, deployment.file, "--port", port.full_name, "--interface",
                 port.interface, "--results", folder.file(f"port-{port.full_name}"),
                 "--time-zero", "-"],
                folder, stdin=subprocess.PIPE)
        for host in self.hosts.values():
            wait_until(f"the start of host {host.name}", host.is_ready, [host.child], READY_SECONDS)
        for servers in self.servers:
            servers.wait_ready()
        for name, child in self.traffic.items():
            wait_until(f"the traffic of {name}", lambda each=child: each.output == "ready\n",
                       [child], OPEN_SECONDS)
        # On the grid of the daemons' rows, so that all rows of the results are of the same moments.
        ahead = time.monotonic_ns() + LEAD_NS - self.host_zero_ns
        self.zero_ns = self.host_zero_ns + -(-ahead // INTERVAL_NS) * INTERVAL_NS
        for child in self.traffic.values():
            with child.process.stdin as stream:
                stream.write(f"{self.zero_ns}\n".encode())
        for source in deployment.sources:
            self.drivers.append(ClientDriver(source, deployment, self.network, folder,
                                             self.zero_ns))

    @property
    def children(self):
        yield from (host.child for host in self.hosts.values())
        yield from self.traffic.values()
        yield from (driver.child for driver in self.drivers)
        for servers in self.servers:
            yield from servers.children

    # --- Running ---------------------------------------------------------------------------------

    def go_through(self):
        duration = self.deployment.duration_ns
        self.faults = FaultPlan(self.deployment.faults, self.hosts, duration)
        plans = [self.faults, ChangePlan(self.deployment, self.hosts)]
        progress = Progress(duration, self.options.quiet)
        while (now := self.now_ns()) < duration:
            wake = min(now + int(TURN_SECONDS * 1e9), duration)
            due = [plan for plan in plans if plan.next_ns is not None]
            if due:
                plan = min(due, key=lambda each: each.next_ns)
                if plan.next_ns <= now:
                    plan.do_next(now)
                    continue
                wake = min(wake, plan.next_ns)
            for child in self.children:
                child.must_run()
            if progress.due() and now > 0:
                progress.show(now, self.received_packets())
            time.sleep(max(0, wake - self.now_ns()) * 1e-9)
        progress.show(duration, self.received_packets())
        progress.end()

    def received_packets(self):
        return sum(port.get("received_packets", 0) for host in self.hosts.values()
                   if not host.killed for port in host.status().get("ports", []))

    # --- Ending ----------------------------------------------------------------------------------

    def end_run(self, complete):
        """From the outside in: the load first, then the hosts, with nothing under way any more."""
        wall = (time.monotonic_ns() - self.host_zero_ns) * 1e-9
        deadline = time.monotonic() + SETTLE_SECONDS
        load_children = [*self.traffic.values(), *(driver.child for driver in self.drivers)]
        for child in load_children:
            child.expected_to_end = True
            if not complete or not child.wait(max(0.0, deadline - time.monotonic())):
                child.end()
        if self.faults is not None:
            self.faults.release_all()
        for host in self.hosts.values():
            if complete:
                host.remember_ports()
            host.stop()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        cores = len(os.sched_getaffinity(0))
        self.timing = {"wall_s": wall, "cpu_s": cpu, "cores": cores,
                       "cpu_share": cpu / (wall * cores)}
        if complete:
            self.look_at_ends()

    def look_at_ends(self):
        for host in self.hosts.values():
            code = host.child.process.returncode
            if host.killed or code == 0:
                continue
            kind = InvariantBroke if code == EXIT_INVARIANT else Failure
            raise kind(f"host {host.name}", f"ended with {host.child.status_text}",
                       host.child.last_words)
        for child in [*self.traffic.values(), *(driver.child for driver in self.drivers)]:
            if child.process.returncode != 0:
                raise Failure(child.name, f"ended with {child.status_text}", child.last_words)

    def end_all(self):
        """Whatever still runs, at whatever point we are."""
        if self.faults is not None:
            self.faults.release_all()
        for child in reversed(list(self.children)):
            if child.running:
                child.end()

    # --- Results ---------------------------------------------------------------------------------

    def write(self, results, complete, reached_ns):
        measured = Measured(self.deployment, self.host_zero_ns - self.zero_ns)
        for name, host in self.hosts.items():
            measured.add_host(name, host.results_so_far, host.received_packets)
        for name, child in self.traffic.items():
            measured.add_port(name, self.folder.file(f"port-{name}"), child.output)
        for driver, servers in zip(self.drivers, self.servers):
            result = driver.result()
            if result is not None:
                measured.add_clients(driver.source, result, servers.retransmissions)
        measured.series.add_sum("port:", "delivered_bps", "port:all", "bit/s")
        if self.faults is not None:
            measured.events += self.faults.events
            measured.fault_counts |= self.faults.counts
        target = ResultFolder(results)
        try:
            measured.series.write(target.file("series.csv"))
            measured.write_events(target.file("events.jsonl"))
            self.copy_captures(target)
            target.write_json("summary.json", measured.summary(reached_ns))
            target.write_json("timing.json", self.timing)
            target.write_json("manifest.json", manifest(self.deployment, self.options.command,
                                                        complete, self.versions()))
            target.finish()
        finally:
            target.remove_unfinished()
        for line in measured.warnings():
            say(f"testbed: {line}")

    def copy_captures(self, target):
        for name in self.traffic:
            source = self.folder.file(f"port-{name}", "captures", f"{name}.pcap")
            if os.path.exists(source):
                os.makedirs(target.file("captures"), exist_ok=True)
                shutil.copy(source, target.file("captures"))

    def versions(self):
        found = {"kernel": os.uname().release}
        for host in self.hosts.values():
            found |= host.versions
        return found
