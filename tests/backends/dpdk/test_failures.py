"""What happens to a host when its functions die, hang or lie, under load all the while."""

import contextlib
import os
import random
import re
import select
import signal
import struct
import subprocess

import daemon

INSTANCES = """
name: failures
hosts:  # However long a full machine does not let them run, no flow ends.
  h1: {cores: 8, clock: 2 GHz, flow_idle: 1 h,
       ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  forward: {function: forward, instances: {min: 3, max: 4}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
scaling: {up: {for: 1 h, drops: 0}}  # The place of a fourth instance stays free.
"""
# What may happen to packets while instances die under a flood: no other reason to drop one.
EXPECTED_DROPS = {"instance_died", "ring_full", "no_instance"}

# Rings and buffers for all that comes, so that only a death loses packets.
SEQUENCE = """
name: sequence
hosts:
  h1: {cores: 8, clock: 2 GHz, buffers: 16384, flow_idle: 1 h,
       ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}}}
services:
  forward: {function: forward, ring: 16384, instances: {min: 3, max: 3}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [forward]}
"""
SEQUENCE_FLOWS = 60
SEQUENCE_PACKETS = 12000


def lost_at_most(instance):
    """How many packets can be with an instance: two rings, a batch in it, one on its way to it."""
    return 2 * instance["ring_capacity"] + 2 * 32


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

    @staticmethod
    def called(host, event):
        """The instances of which the log notes `event`."""
        return set(re.findall(rf"(?m)\b{event} .*\binstance=(\S+)", host.log))

    def expect_untouched(self, host, status, alive):
        """Each of the instances `alive`, {name: pid}, is the same process and still runs, and those
        that run have all that they were given."""
        running = self.running(status)
        self.assertEqual({name: running[name]["pid"] for name in alive if name in running},
                         {name: pid for name, pid in alive.items() if name in running})
        # One that the machine did not let run for 200 ms is rightly ended by its host.
        self.assertLessEqual(alive.keys() - running.keys(), self.called(host, "instance_hung"))
        for each in running.values():
            self.assertEqual(each["refused_packets"], 0, each)
            held = each["delivered_packets"] - each["returned_packets"]
            self.assertTrue(0 <= held <= lost_at_most(each), each)

    def test_killed_instances_are_replaced_and_no_buffer_is_lost(self):
        count = int(os.environ.get("SLUICE_KILLS", "24"))
        host = self.start()
        killed, alive = set(), {}  # By name: in a long run pids come again.
        choose = random.Random(1)
        while len(killed) < count:
            status = host.wait_until(lambda now: self.running(now).keys() - killed)
            self.expect_untouched(host, status, alive)
            alive = {name: each["pid"] for name, each in self.running(status).items()
                     if name not in killed}
            victim = choose.choice(list(alive))
            with contextlib.suppress(ProcessLookupError):  # Hung, and ended by its host.
                os.kill(alive.pop(victim), signal.SIGKILL)
            killed.add(victim)
        status = host.wait_until(lambda now: len(self.running(now)) >= 3)
        self.expect_untouched(host, status, alive)
        self.assertLessEqual(set(status["drops"]), EXPECTED_DROPS)
        most = max(map(lost_at_most, status["instances"]))
        deaths = len(killed | self.called(host, "instance_hung"))
        self.assertLessEqual(status["drops"].get("instance_died", 0), deaths * most)
        self.end_well(host)
        died, hung = self.called(host, "instance_died"), self.called(host, "instance_hung")
        self.assertEqual(died, killed | hung)
        self.assertEqual(self.called(host, "instance_quarantined"), set())
        self.assertNotIn("registered twice", host.log)
        if hung:
            print(f"{len(hung)} instances were not let run by this machine and called hung")

    def test_flows_of_others_lose_nothing_when_one_dies(self):
        frames = [daemon.udp_frame(1000 + i % SEQUENCE_FLOWS, 100)[:42]
                  + struct.pack("!I", i // SEQUENCE_FLOWS) + bytes(54)
                  for i in range(SEQUENCE_PACKETS)]
        source = daemon.write_pcap(self.folder / "in.pcap", frames)
        sink = self.folder / "out.pcap"
        host = self.start_host(SEQUENCE, {
            "p0": {"vdev": daemon.pcap_source(source), "pace": "5 Mbps"},  # For about two seconds.
            "p1": f"net_pcap1,tx_pcap={sink}"})
        status = host.wait_until(
            lambda now: sum(each["flows"] for each in now["instances"]) == SEQUENCE_FLOWS)
        victim = self.running(status)["forward.2"]
        # So that it has something that dies with it, unless we were too slow and all have come.
        os.kill(victim["pid"], signal.SIGSTOP)
        host.wait_until(lambda now: now["ports"][0]["received_packets"] == SEQUENCE_PACKETS or
                        all(each["ring_size"] for each in now["instances"]
                            if each["pid"] == victim["pid"]))
        with contextlib.suppress(ProcessLookupError):  # The host may have done it.
            os.kill(victim["pid"], signal.SIGKILL)
        status = host.wait_until(
            lambda now: now["ports"][1]["sent_packets"] + sum(now["drops"].values())
            == now["ports"][0]["received_packets"] == SEQUENCE_PACKETS, "all packets")
        host.stop()
        # The first ones came before the instances.
        self.assertLessEqual(set(status["drops"]), {"instance_died", "no_instance"})
        sent = {}
        for _, frame in daemon.read_pcap(sink):
            flow, number = (struct.unpack_from("!H", frame, 34)[0],
                            struct.unpack_from("!I", frame, 42)[0])
            self.assertEqual(frame, frames[number * SEQUENCE_FLOWS + flow - 1000])
            sent.setdefault(flow, []).append(number)
        self.assertEqual(len(sent), SEQUENCE_FLOWS)
        lost = []
        for numbers in sent.values():
            self.assertEqual(numbers, sorted(set(numbers)))  # None came twice or was overtaken.
            lost.append(SEQUENCE_PACKETS // SEQUENCE_FLOWS - numbers[0] - len(numbers))
        self.assertEqual(sum(lost), status["drops"].get("instance_died", 0))
        if self.called(host, "instance_hung") <= {"forward.2"}:  # Else more than one has died.
            self.assertLessEqual(sum(1 for count in lost if count > 0), victim["flows"])

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
