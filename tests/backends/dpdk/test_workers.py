"""A host with two workers: packets cross from one to the other while their routes change."""

import os
import random
import signal

import daemon

TWO_WORKERS = """
name: workers
hosts:
  h1: {cores: 8, workers: 2, clock: 2 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  forward: {function: forward, instances: {min: 2, max: 4}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
scaling: {up: {for: 1 h, drops: 0}, down: {for: 1 h}}  # Only this test starts and stops.
"""


class Workers(daemon.Case):
    def start(self):
        """A host with a flood into p0, which worker 0 polls; p1 is worker 1's, so that each packet
        that leaves there has crossed."""
        frames = [daemon.udp_frame(1000 + i) for i in range(512)]
        source = daemon.write_pcap(self.folder / "in.pcap", frames)
        return self.start_host(TWO_WORKERS, {"p0": f"{daemon.pcap_source(source)},infinite_rx=1",
                                             "p1": "net_null1,no-rx=1"})

    def wait_for_more(self, host):
        """Until more packets than before have crossed."""
        sent = host.status()["ports"][1]["sent_packets"]
        host.wait_until(lambda now: now["ports"][1]["sent_packets"] > sent, "packets at p1")

    def end_one(self, host, name):
        """Until an instance is no more. One that drains may end by itself before it is asked to."""
        host.request(do="stop", instance=name)
        host.wait_until(lambda now: name not in {each["name"] for each in now["instances"]}, name)

    def test_packets_cross_while_instances_come_and_go(self):
        host = self.start()
        choose = random.Random(1)
        for turn in range(int(os.environ.get("SLUICE_TURNS", "6"))):
            self.wait_for_more(host)
            self.assertEqual(host.request(do="start", service="forward"), {"ok": True})
            host.wait_until(lambda _: len(host.instances()) == 3, "a third instance")
            name, chosen = choose.choice(sorted(host.instances().items()))
            if turn % 3 == 0:
                self.assertEqual(host.request(do="drain", instance=name), {"ok": True})
                self.wait_for_more(host)
            elif turn % 3 == 1:
                os.kill(chosen["pid"], signal.SIGKILL)
                host.wait_until(lambda _, gone=name: gone not in host.instances()
                                and len(host.instances()) == 3, "a new one for " + name)
                name = choose.choice(sorted(host.instances()))
            self.end_one(host, name)
        self.wait_for_more(host)
        host.stop()
        self.assertIn("problems=0", host.log)


if __name__ == "__main__":
    daemon.main()
