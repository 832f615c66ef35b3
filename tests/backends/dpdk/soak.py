#!/usr/bin/python3
"""A host with two workers under load, while events that a seed chooses happen to it.

    soak.py --minutes 2 --seed 7 [--sluice build/bin/sluice] [--verbose]

The seed fixes the order of the events, the pauses between them, and which instance each is for: the
n-th of those that live, so that a run can be repeated as far as time allows. Every few events the
host must be whole again, and at the end its audit must find nothing missing. A failure prints all
events, the end of the host's log, and its status.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import time
import unittest

import daemon

SOAK = """
name: soak
hosts:
  h1: {cores: 14, workers: 2, clock: 2 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  watch: {function: monitor, run: inline}
  forward: {function: forward, instances: {min: 2, max: 5}}
  filter: {function: firewall, rules: [{allow: {proto: udp}}], instances: {min: 2, max: 5}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [watch, forward, filter]}
  back: {from: h1.p1, to: h1.p0, match: {proto: udp}, steps: [filter, forward]}
scaling: {up: {for: 1 h, drops: 0}, down: {for: 1 h}}  # Only the events start and stop.
"""
SERVICES = ("filter", "forward")
INSTANCES_MIN = 2
PACE = "100 Mbps"  # 200,000 packets a second into each port.
FLOWS = 512

# How often each happens.
EVENTS = {"kill": 30, "freeze": 8, "start": 15, "drain": 10, "stop": 10, "quarantine": 5,
          "intrude": 4, "read": 18}
EVENTS_PER_CHECK = 25
PAUSE_SECONDS_MAX = 0.25
# A daemon has some descriptors of its own and a few for each instance, however many have gone.
DESCRIPTORS_MAX = 150


class Soak(daemon.Case):
    seconds = 120.0
    seed = 1
    verbose = False

    def setUp(self):
        super().setUp()
        self.begin = time.monotonic()
        self.events = []
        self.hostile = []
        self.host = self.start()

    def start(self):
        devices = {}
        for number in range(2):
            frames = [daemon.udp_frame(1000 + FLOWS * number + i) for i in range(FLOWS)]
            source = daemon.write_pcap(self.folder / f"in{number}.pcap", frames)
            devices[f"p{number}"] = {
                "vdev": f"{daemon.pcap_source(source, number)},infinite_rx=1", "pace": PACE}
        return self.start_host(SOAK, devices)

    def note(self, text):
        self.events.append(f"{time.monotonic() - self.begin:8.3f} s  {text}")
        if self.verbose:
            print(self.events[-1], flush=True)

    def test_host_survives_what_a_seed_chooses(self):
        choose = random.Random(self.seed)
        counts = collections.Counter()
        try:
            while time.monotonic() - self.begin < self.seconds:
                kind = choose.choices(list(EVENTS), list(EVENTS.values()))[0]
                rank, pause = choose.randrange(1000), choose.uniform(0, PAUSE_SECONDS_MAX)
                counts[kind] += 1
                self.happen(kind, rank)
                time.sleep(pause)  # The load goes on; nothing is waited for.
                if counts.total() % EVENTS_PER_CHECK == 0:
                    self.check()
            self.check()
            self.end()
        except BaseException:
            print("\n".join(self.events), self.host.log[-4000:], sep="\n", file=sys.stderr)
            if self.host.process.poll() is None:
                print(json.dumps(self.host.status()), file=sys.stderr)
            raise
        print(", ".join(f"{counts[kind]} {kind}" for kind in EVENTS), flush=True)

    # --- Events --------------------------------------------------------------------------------

    def happen(self, kind, rank):
        if kind == "start":
            service = SERVICES[rank % len(SERVICES)]
            self.ask(do="start", service=service)
        elif kind == "intrude":
            self.intrude(SERVICES[rank % len(SERVICES)])
        elif kind == "read":
            self.read(rank)
        else:
            # Those that drain, too: with flows that never end nothing else would end them.
            alive = [each for each in self.host.status()["instances"]
                     if each["state"] in ("running", "draining") and not each["inline"]]
            if not alive:
                self.note(f"{kind}: nobody is there")
                return
            alive.sort(key=lambda each: (each["service"], each["number"]))
            chosen = alive[rank % len(alive)]
            if kind == "kill":
                self.send(signal.SIGKILL, chosen)
            elif kind == "freeze":
                self.send(signal.SIGSTOP, chosen)
            else:
                self.ask(do=kind, instance=chosen["name"])

    def ask(self, **request):
        """What an operator asks; a refusal is an answer, too."""
        answer = self.host.request(**request)
        self.note(f"{' '.join(request.values())}: {answer.get('error', 'done')}")

    def send(self, number, instance):
        try:
            os.kill(instance["pid"], number)
            self.note(f"{number.name} to {instance['name']}")
        except ProcessLookupError:
            self.note(f"{number.name} to {instance['name']}, which was gone")

    def intrude(self, service):
        program = daemon.SLUICE.parent / "hostile_function"
        process = subprocess.Popen([program, self.host.run_dir / "h1.nf", service],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.hostile.append(process)
        self.note(f"hostile {service}, pid {process.pid}")

    def read(self, rank):
        if rank % 3 == 0:
            code, out, err = self.sluice("top", "--once", "--run-dir", self.host.run_dir)
            self.assertEqual((code, err), (0, ""), out)
        else:
            for _ in range(rank % 20):
                self.host.status()
        self.note("read the status")

    # --- Checks --------------------------------------------------------------------------------

    def missing(self, status):
        """How many instances each service lacks to its least number, where it lacks any."""
        running = collections.Counter(each["service"] for each in status["instances"]
                                      if each["state"] == "running")
        return {service: INSTANCES_MIN - running[service] for service in SERVICES
                if running[service] < INSTANCES_MIN}

    def check(self):
        """Whole again: the least number of instances, and traffic both ways."""
        for process in self.hostile:
            # Quarantined and killed; or refused, as the service had no room.
            self.assertIn(process.wait(daemon.SECONDS_MAX), (-signal.SIGKILL, 1))
        for service, count in self.missing(self.host.status()).items():
            for _ in range(count):  # Operators may go below the least number, and back.
                self.ask(do="start", service=service)
        status = self.host.wait_until(lambda now: not self.missing(now), "all services")
        sent = [port["sent_packets"] for port in status["ports"]]
        self.host.wait_until(lambda now: all(port["sent_packets"] > before for port, before
                                             in zip(now["ports"], sent)), "traffic both ways")
        descriptors = len(os.listdir(f"/proc/{self.host.pid}/fd"))
        self.assertLess(descriptors, DESCRIPTORS_MAX)
        self.note(f"whole: {len(status['instances'])} instances, {descriptors} descriptors, "
                  f"{sum(sent)} packets sent")

    def end(self):
        """Nothing missing, nobody left, and nobody accused but those who lied."""
        handles = [os.pidfd_open(each["pid"]) for each in self.host.status()["instances"]
                   if each["pid"]]
        self.host.stop()
        self.assertIn("problems=0", self.host.log)
        for handle in handles:
            self.assertTrue(select.select([handle], [], [], daemon.SECONDS_MAX)[0])
            os.close(handle)
        accused = [line for line in self.host.log.splitlines()
                   if "instance_quarantined" in line and "reason=operator" not in line]
        guilty = sum(process.returncode == -signal.SIGKILL for process in self.hostile)
        self.assertLessEqual(len(accused), guilty, accused)


def main():
    source = pathlib.Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32),
                        help="default: another one each time")
    parser.add_argument("--sluice", type=pathlib.Path, default=source / "build/bin/sluice")
    parser.add_argument("--verbose", action="store_true", help="print events as they happen")
    arguments = parser.parse_args()
    print(f"soak: --minutes {arguments.minutes:g} --seed {arguments.seed}", flush=True)
    daemon.SLUICE, daemon.SOURCE = arguments.sluice.resolve(), source
    Soak.seconds = 60 * arguments.minutes
    Soak.seed, Soak.verbose = arguments.seed, arguments.verbose
    unittest.main(module="__main__", argv=[sys.argv[0]])


if __name__ == "__main__":
    main()
