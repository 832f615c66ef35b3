"""What happens to a host when its functions die, hang or lie, under load all the while."""

import os
import random
import re
import select
import signal
import subprocess

import daemon

INSTANCES = """
name: failures
hosts:
  h1: {cores: 8, clock: 2 GHz, ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  forward: {function: forward, instances: {min: 3, max: 4}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
scaling: {up: {for: 1 h, drops: 0}}  # The place of a fourth instance stays free.
"""


class Failures(daemon.Case):
    def start(self):
        """A host with three forwarding instances under a flood that never ends."""
        frames = [daemon.udp_frame(1000 + i) for i in range(512)]
        source = daemon.write_pcap(self.folder / "in.pcap", frames)
        return self.start_host(INSTANCES, {"p0": f"{daemon.pcap_source(source)},infinite_rx=1",
                                           "p1": "net_null1,no-rx=1"})

    @staticmethod
    def running(status):
        return {each["name"]: each for each in status["instances"] if each["state"] == "running"}

    def end_well(self, host):
        """All three serve, traffic flows again, and the audit at the stop finds nothing missing."""
        status = host.wait_until(lambda now: len(self.running(now)) >= 3)
        sent = status["ports"][1]["sent_packets"]
        host.wait_until(lambda now: now["ports"][1]["sent_packets"] > sent)
        host.stop()
        self.assertIn("problems=0", host.log)

    def test_killed_instances_are_replaced_and_no_buffer_is_lost(self):
        count = int(os.environ.get("SLUICE_KILLS", "24"))
        host = self.start()
        killed = set()
        choose = random.Random(1)
        while len(killed) < count:
            status = host.wait_until(
                lambda now: any(each["pid"] not in killed for each in self.running(now).values()))
            alive = [each["pid"] for each in self.running(status).values()
                     if each["pid"] not in killed]
            victim = choose.choice(alive)
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        self.end_well(host)
        self.assertEqual(len(re.findall("instance_died", host.log)), count)

    def test_a_stopped_process_is_seen_by_its_heartbeat_and_replaced(self):
        host = self.start()
        # One that has work: an idle one that sleeps for ever harms nobody.
        status = host.wait_until(lambda now: any(each["flows"] for each in now["instances"]))
        busiest = max(self.running(status).values(), key=lambda each: each["flows"])
        victim = busiest["pid"]
        os.kill(victim, signal.SIGSTOP)
        host.wait_until(lambda now: busiest["name"] not in self.running(now)
                        and len(self.running(now)) >= 3)
        with self.assertRaises(ProcessLookupError):
            os.kill(victim, 0)  # It was killed and reaped, not only left out.
        self.end_well(host)
        self.assertIn("instance_hung", host.log)

    def test_others_keep_their_packets_when_one_dies(self):
        host = self.start()
        before = self.running(host.status())
        os.kill(before["forward.1"]["pid"], signal.SIGKILL)
        after = host.wait_until(lambda now: "forward.1" not in self.running(now)
                                and len(self.running(now)) >= 3)
        for name in ("forward.2", "forward.3"):
            self.assertEqual(self.running(after)[name]["pid"], before[name]["pid"])
            self.assertEqual(self.running(after)[name]["refused_packets"], 0)
        self.end_well(host)

    def test_instances_end_with_a_killed_host(self):
        host = self.start()
        pids = [each["pid"] for each in self.running(host.status()).values()]
        handles = [os.pidfd_open(pid) for pid in pids]
        host.kill()
        for handle in handles:
            self.await_end(handle)
        self.start_host(INSTANCES).stop()

    def test_a_hostile_instance_is_quarantined_and_its_buffers_come_back(self):
        host = self.start()
        hostile = subprocess.Popen([daemon.SLUICE.parent / "hostile_function",
                                    host.run_dir / "h1.nf", "forward"], stdin=subprocess.DEVNULL)
        self.addCleanup(hostile.wait)
        self.addCleanup(hostile.kill)
        self.assertEqual(hostile.wait(daemon.SECONDS_MAX), -signal.SIGKILL)
        host.wait_until(lambda now: "instance_quarantined" in host.log)
        for name, each in self.running(host.status()).items():
            self.assertEqual(each["refused_packets"], 0, name)
        self.end_well(host)

    def await_end(self, handle):
        """Until the process of a pidfd has ended."""
        self.assertTrue(select.select([handle], [], [], daemon.SECONDS_MAX)[0])
        os.close(handle)


if __name__ == "__main__":
    daemon.main()
