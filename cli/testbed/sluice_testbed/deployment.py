"""What the deployment file says, from `sluice check --json`, as far as a testbed must know it."""

import dataclasses
import json
import os
import subprocess

from .problem import EnvironmentProblem, Problem

UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
RATE_UNITS = {"bps": 1, "kbps": 10**3, "Mbps": 10**6, "Gbps": 10**9}


def parse_quantity(text, units):
    """The resolved file writes whole numbers and a unit: "100 ms"."""
    number, unit = text.split()
    return int(number) * units[unit]


def parse_ns(text):
    return parse_quantity(text, UNITS)


@dataclasses.dataclass(frozen=True)
class Port:
    host: str
    name: str
    index: int  # On its host, in the order of the file.
    frame_max: int  # Bytes.

    @property
    def full_name(self):
        return f"{self.host}.{self.name}"

    @property
    def interface(self):
        """Of both ends of its wire, each in a namespace of its own."""
        return f"veth{self.index}"


@dataclasses.dataclass(frozen=True)
class Source:
    """An entry of `traffic:` that real clients make."""

    name: str
    number: int  # Its place in the file.
    kind: str
    client: str
    client_port: str
    server_port: str
    start_ns: int
    stop_ns: int
    tcp_port: int
    rate_bps: int  # Of constant traffic: frame bytes.
    frame_size: int
    transfers: list  # (start in ns, bytes) of tcp.


@dataclasses.dataclass(frozen=True)
class Fault:
    at_ns: int
    for_ns: int | None
    what: str  # kill_instance, hang_instance, kill_host, pause_host, disturb_link
    host: str = ""
    service: str = ""
    instance: int = 0
    port: str = ""


@dataclasses.dataclass(frozen=True)
class Change:
    at_ns: int
    chain: str
    steps: list  # As in the file.


class Deployment:
    def __init__(self, file, resolved, plan):
        self.file = os.path.abspath(file)
        self.resolved_text = resolved
        self.json = json.loads(resolved)
        self.plan = plan
        self.name = self.json["name"]
        self.duration_ns = parse_ns(self.json["run"]["duration"])
        self.warmup_ns = parse_ns(self.json["run"]["warmup"])
        self.ports = {}
        for host, spec in self.json["hosts"].items():
            for index, (name, port) in enumerate(spec["ports"].items()):
                size = parse_quantity(port["frame_max"], {"B": 1})
                each = Port(host, name, index, size)
                self.ports[each.full_name] = each
        self.sources = [self._source(number, each)
                        for number, each in enumerate(self.json["traffic"]) if "client" in each]
        self.faults = [self._fault(each) for each in self.json["faults"]]
        self.changes = [Change(parse_ns(each["at"]), each["chain"], each["steps"])
                        for each in self.json["changes"]]
        self.client_ports = {port for each in self.sources
                             for port in (each.client_port, each.server_port)}

    @property
    def hosts(self):
        return list(self.json["hosts"])

    @property
    def slot_count(self):
        """Cores that the file gives its hosts: a worker or an instance each."""
        return sum(host["cores"] for host in self.json["hosts"].values())

    def _source(self, number, entry):
        constant = entry["kind"] == "constant"
        return Source(
            name=entry["name"], number=number, kind=entry["kind"], client=entry["client"],
            client_port=entry["into"], server_port=entry["to"],
            start_ns=parse_ns(entry["start"]), stop_ns=parse_ns(entry["stop"]),
            tcp_port=int(entry["dst_port"].split("-")[0]),
            rate_bps=parse_quantity(entry["rate"][0][1], RATE_UNITS) if constant else 0,
            frame_size=parse_quantity(entry["size"], {"B": 1}) if constant else 0,
            transfers=self.plan["transfers"].get(entry["name"], []))

    @staticmethod
    def _fault(entry):
        what, details = next((key, value) for key, value in entry.items()
                             if key not in ("at", "for"))
        about = "host" if "host" in details else "instance"
        names = {"link": "disturb_link"}
        return Fault(
            at_ns=parse_ns(entry["at"]),
            for_ns=parse_ns(entry["for"]) if "for" in entry else None,
            what=names.get(what, f"{what}_{about}"), host=details.get("host", ""),
            service=details.get("service", ""), instance=details.get("instance", 0),
            port=details.get("port", ""))

    def refuse_what_a_machine_cannot_do(self):
        """Says, before anything is started, which parts of the file only a simulator can do."""
        for number, fault in enumerate(self.faults):
            place = f"{self.file}: faults[{number}]"
            if fault.what == "slow_instance":
                raise Problem(place, "a testbed cannot slow an instance down", "slow",
                              "kill, hang, pause or link; or sluice sim")
            if fault.what == "disturb_link" and fault.port in self.client_ports:
                raise Problem(place, "a testbed disturbs only links whose frames it sends itself",
                              f"{fault.port}, which real clients are behind",
                              "a port without them; or sluice sim")
        for number, source in enumerate(self.sources):
            if source.client_port.split(".")[0] != source.server_port.split(".")[0]:
                raise Problem(f"{self.file}: traffic[{number}]", "its ports are of two hosts",
                              f"{source.client_port} and {source.server_port}", "one host")


def run_checked(program, *arguments):
    """The stdout of one of our programs that reads the file; its message is the user's if it fails.
    """
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EnvironmentProblem(program, "cannot be started", error.strerror,
                                 "a build of all programs") from error
    if done.returncode != 0:
        problem = Problem("", done.stderr.strip())
        problem.code = done.returncode
        raise problem
    return done.stdout


def load(file, programs):
    resolved = run_checked(programs.check, "--json", file)
    plan = json.loads(run_checked(programs.traffic, "--plan", file))
    deployment = Deployment(file, resolved, plan)
    deployment.refuse_what_a_machine_cannot_do()
    return deployment
