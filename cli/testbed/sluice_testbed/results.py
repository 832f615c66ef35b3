"""The result folder of a run, in the simulator's format (DESIGN 12)."""

import json
import os
import platform
import shutil

from . import series
from .problem import EnvironmentProblem, Problem

PORT_METRICS = ("delivered_bps",)  # Measured outside of the host, where a peer would see it.


class ResultFolder:
    """Gathers in a hidden sibling, which gets the final name at the end, so that a folder under
    that name is always whole. One that holds something else is not touched."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        is_run = os.path.exists(os.path.join(self.path, "manifest.json"))
        if os.path.exists(self.path) and not is_run and \
                not (os.path.isdir(self.path) and not os.listdir(self.path)):
            raise Problem(self.path, "exists and holds no results of a run", "something else",
                          "a new name, or the folder of an earlier run")
        parent, name = os.path.split(self.path)
        self.temporary = os.path.join(parent, f".{name}.partial-{os.getpid()}")
        try:
            shutil.rmtree(self.temporary, ignore_errors=True)
            os.makedirs(self.temporary)
        except OSError as error:
            raise EnvironmentProblem(self.temporary, "cannot be made", error.strerror) from error

    def file(self, *parts):
        return os.path.join(self.temporary, *parts)

    def write_json(self, name, value):
        with open(self.file(name), "w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=2, ensure_ascii=False)
            stream.write("\n")

    def finish(self):
        shutil.rmtree(self.path, ignore_errors=True)
        os.rename(self.temporary, self.path)

    def remove_unfinished(self):
        shutil.rmtree(self.temporary, ignore_errors=True)


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0


def percent_text(part, whole):
    return f"{100 * part / whole:.2g} %" if whole else "0 %"


class Measured:
    """What all programs of a run left behind, put together."""

    def __init__(self, deployment, shift_ns):
        self.deployment = deployment
        self.shift_ns = shift_ns  # Of what daemons write: their time began before the run's.
        self.series = series.Series(deployment.duration_ns)
        self.events = []
        self.hosts = {}  # Summaries of the daemons, by host.
        self.taken = {}  # Packets that hosts took from their ports, by port.
        self.ports = {}  # Summaries of sluice-traffic, by port.
        self.clients = {}  # What clients measured, by source; with "retransmissions".
        self.fault_counts = {}

    def add_host(self, name, folder, received_packets):
        """A killed daemon has written less, a paused one late; what there is counts."""
        self.taken |= received_packets
        path = os.path.join(folder, "series.csv")
        if os.path.exists(path):
            for at, entity, metric, value, unit in series.read(path, self.shift_ns):
                if metric not in PORT_METRICS:
                    self.series.add(at, entity, metric, value, unit)
        path = os.path.join(folder, "events.jsonl")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                for line in stream:
                    if line.endswith("\n"):
                        event = json.loads(line)
                        event["at_ns"] = max(0, event["at_ns"] + self.shift_ns)
                        self.events.append(event)
        path = os.path.join(folder, "summary.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self.hosts[name] = json.load(stream)

    def add_port(self, name, folder, output):
        for row in series.read(os.path.join(folder, "series.csv")):
            self.series.add_to(*row)
        _, _, summary = output.partition("\n")  # "ready" is the first line.
        if summary.strip():
            self.ports[name] = json.loads(summary)
            for what, count in self.ports[name]["link"].items():
                if count:
                    kind = {"lost": "loss", "duplicated": "duplicate", "reordered": "reorder",
                            "delayed": "delay"}[what]
                    self.fault_counts[f"link_{kind}"] = 1

    def add_clients(self, source, result, retransmissions):
        self.clients[source.name] = dict(result, retransmissions=retransmissions)
        entity = f"traffic:{source.name}"
        spans = [span for each in result["transfers"] for span in each["spans"]]
        curve = series.spread(spans, self.deployment.duration_ns)
        if source.kind == "constant":
            self.series.add_curve(curve, entity, "offered_bps", "bit/s")
            return
        self.series.add_curve(curve, entity, "goodput_bps", "bit/s")
        ends = sorted(each["spans"][-1][1] for each in result["transfers"]
                      if each["finished"] and each["spans"])
        finished = [sum(end <= (index + 1) * series.INTERVAL_NS for end in ends)
                    for index in range(len(curve))]
        self.series.add_curve(finished, entity, "transfers_finished", "transfers")

    def write_events(self, path):
        with open(path, "w", encoding="utf-8") as stream:
            for event in sorted(self.events, key=lambda each: each["at_ns"]):
                stream.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n")

    # --- The summary, with the names that the simulator uses -------------------------------------

    def summary(self, reached_ns):
        seconds = max(0, reached_ns - self.deployment.warmup_ns) * 1e-9
        offered = sum(source["measured_bytes"] for port in self.ports.values()
                      for source in port["sources"].values())
        delivered = sum(port["received"]["measured_bytes"] for port in self.ports.values())
        drops = self._sum_of_maps("drops")
        summary = {
            "measured_s": seconds,
            "offered_bps": 8 * offered / seconds if seconds else 0.0,
            "delivered_bps": 8 * delivered / seconds if seconds else 0.0,
            "received_packets": self._sum("received_packets"),
            "flows_started": self._sum("flows_started"),
            "dropped_packets": self._sum("dropped_packets"),
            "drops": drops,
            "services": self._merged("services"),
            "chains": self._merged("chains"),
            "instances": self._merged("instances"),
        }
        transfers = {source.name: self._transfers(source) for source in self.deployment.sources
                     if source.kind == "tcp" and source.name in self.clients}
        if transfers:
            summary["transfers"] = transfers
        links = {name: port["link"] for name, port in self.ports.items()
                 if any(port["link"].values())}
        if links:
            summary["links"] = links
        if ports := {name: {"rx_missed": count} for name, count in self.missed().items()}:
            summary["ports"] = ports
        summary["paths"] = self._paths()
        summary["events"] = self._event_counts()
        summary["faults"] = self.fault_counts
        return summary

    def missed(self):
        """What was on the wire to a host and did not get into it, by port."""
        missed = {name: self.ports[name]["counted"]["tx_packets"] - count
                  for name, count in self.taken.items() if name in self.ports}
        return {name: count for name, count in missed.items() if count > 0}

    def _sum(self, key):
        return sum(host.get(key, 0) for host in self.hosts.values())

    def _sum_of_maps(self, key):
        sums = {}
        for host in self.hosts.values():
            for name, count in host.get(key, {}).items():
                sums[name] = sums.get(name, 0) + count
        return sums

    def _merged(self, key):
        """Services and instances of a name are added up over hosts; a chain lives on one."""
        merged = {}
        for host in self.hosts.values():
            for name, values in host.get(key, {}).items():
                if key == "chains" or name not in merged:
                    if values.get("packets", 1) or name not in merged:
                        merged[name] = dict(values)
                    continue
                for metric, value in values.items():
                    merged[name][metric] += value
        return merged

    def _transfers(self, source):
        result = self.clients[source.name]
        finished = [each for each in result["transfers"] if each["finished"]]
        times = [each["completion_ns"] for each in finished]
        return {"started": len(result["transfers"]), "finished": len(finished),
                "received_bytes": sum(each["bytes"] for each in result["transfers"]),
                "retransmissions": result["retransmissions"],
                "completion_p50_ns": quantile(times, 0.5),
                "completion_p99_ns": quantile(times, 0.99),
                "late_max_ns": result["late_max_ns"]}

    def _paths(self):
        """What became of the frames that were sent: a part that a simulation need not have."""
        paths = {}
        for port in self.ports.values():
            for name, source in port["sources"].items():
                path = paths.setdefault(name, {"sent_packets": 0, "refused_packets": 0,
                                               "late_packets": 0, "late_max_ns": 0})
                path["sent_packets"] += source["packets"]
                path["refused_packets"] += source["refused"]
                path["late_packets"] += source["late_packets"]
                path["late_max_ns"] = max(path["late_max_ns"], source["late_max_ns"])
        for port in self.ports.values():
            for name, arrived in port["arrived"].items():
                path = paths.setdefault(name, {})
                path.update({f"one_way_{key.removeprefix('latency_')}": value
                             for key, value in arrived.items() if key != "packets"})
                path["arrived_packets"] = path.get("arrived_packets", 0) + arrived["packets"]
        for source in self.deployment.sources:
            if source.kind == "constant" and source.name in self.clients:
                for each in self.clients[source.name]["transfers"]:
                    paths[source.name] = {
                        "sent_packets": each.get("packets", 0),
                        "arrived_packets": each.get("packets", 0) - each.get("lost_packets", 0)}
        return paths

    def _event_counts(self):
        counts = {}
        for event in self.events:
            if event["kind"] != "fault":
                counts[event["kind"]] = counts.get(event["kind"], 0) + 1
        return counts

    def warnings(self):
        """What a reader of these results must know of how they came about."""
        lines = []
        for name, port in self.ports.items():
            for source, counters in port["sources"].items():
                if counters["refused"]:
                    lines.append(f"{source}: the wire refused {counters['refused']} packets")
                late = counters["late_packets"]
                if late * 20 > counters["packets"]:
                    share = percent_text(late, counters["packets"])
                    lines.append(f"{source}: {share} of the packets left more than 1 ms late; "
                                 "this machine is too slow for the rate")
            if port["cut"]:
                lines.append(f"{name}: not all that was due could be sent")
            if port["received"]["missed"]:
                lines.append(f"{name}: {port['received']['missed']} frames that arrived were not "
                             "counted")
        lines += [f"{name}: {count} packets were lost on the way into the host, which did not come "
                  "round in time" for name, count in self.missed().items()]
        for name, result in self.clients.items():
            late = result["late_max_ns"] * 1e-9
            if late > 0.1:
                lines.append(f"{name}: clients began up to {late:.1f} s late")
            errors = {each["error"] for each in result["transfers"] if each.get("error")}
            lines += [f"{name}: iperf3: {error}" for error in sorted(errors)]
        return lines


def manifest(deployment, command, complete, versions):
    return {
        "name": deployment.name,
        "question": deployment.json["description"],
        "complete": complete,
        "backend": "testbed",
        "commit": deployment.plan["commit"],
        "versions": dict(versions, compiler=deployment.plan["compiler"]),
        "seed": deployment.json["run"]["seed"],
        "trace_hash": "",  # No two runs on a real machine are the same.
        "resolved_hash": deployment.plan["resolved_hash"],
        "command": command,
        "machine": " ".join([platform.system(), platform.release(), platform.machine()]),
        "resolved_file": deployment.resolved_text,
    }
