"""What a host shows of itself: Prometheus text, DPDK's telemetry, captures, the log."""

import json
import re
import socket
import subprocess
import urllib.request

import daemon

FRAMES = [daemon.udp_frame(1000 + i, size=60 + i) for i in range(200)]
# Something to see in the latency: what an inline function does at once takes no time.
DELAY = daemon.FORWARD_INLINE.replace("function: forward", "function: delay, delay: 20 ms")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Case(daemon.Case):
    def start_replay(self, deployment=daemon.FORWARD_INLINE, **options):
        """A host that has forwarded FRAMES from p0 to p1."""
        source = daemon.write_pcap(self.folder / "in.pcap", FRAMES)
        host = self.start_host(deployment,
                               {"p0": daemon.pcap_source(source), "p1": "net_null0,no-rx=1"},
                               **options)
        host.wait_until(lambda status: status["ports"][1]["sent_packets"] == len(FRAMES))
        return host


class Metrics(Case):
    def read(self, address):
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
            text = answer.read().decode()
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                key, value = line.rsplit(" ", 1)
                values[key] = float(value)
        return text, values

    def test_counters_and_gauges_in_base_units(self):
        address = f"127.0.0.1:{free_port()}"
        host = self.start_replay(DELAY, site={"metrics": address})
        # The board is written each 100 ms.
        key = 'sluice_port_sent_packets_total{host="h1",port="p1"}'
        daemon.wait_until(lambda: self.read(address)[1].get(key) == len(FRAMES), "the counter")
        text, values = self.read(address)
        size = sum(map(len, FRAMES))
        self.assertEqual(values['sluice_port_received_packets_total{host="h1",port="p0"}'], 200)
        self.assertEqual(values['sluice_port_received_bytes_total{host="h1",port="p0"}'], size)
        self.assertEqual(values['sluice_port_sent_bytes_total{host="h1",port="p1"}'], size)
        self.assertEqual(values['sluice_drops_total{host="h1",reason="ring_full"}'], 0)
        self.assertEqual(values['sluice_flows{host="h1"}'], len(FRAMES))
        self.assertEqual(values['sluice_buffers{host="h1"}'], 4096)
        self.assertEqual(values['sluice_cores{host="h1"}'], 4)
        self.assertEqual(values['sluice_ready{host="h1"}'], 1)
        instance = 'host="h1",service="forward",instance="forward.1"'
        self.assertEqual(
            values[f"sluice_instance_delivered_packets_total{{{instance}}}"], len(FRAMES))
        self.assertIn(f"sluice_instance_ring_occupancy_ratio{{{instance}}}", values)
        self.assertLessEqual(values[f"sluice_instance_load_ratio{{{instance}}}"], 1)
        latency = "sluice_chain_latency_seconds"
        self.assertEqual(values[latency + '_count{host="h1",chain="all"}'], len(FRAMES))
        median = values[latency + '{host="h1",chain="all",quantile="0.5"}']
        self.assertTrue(0.02 <= median < daemon.SECONDS_MAX, median)
        self.assertLess(0.02 * len(FRAMES) * 0.99, values[latency + '_sum{host="h1",chain="all"}'])
        # Every family of ours says what it is, once.
        for name in re.findall(r"(?m)^# TYPE (sluice_\S+)", text):
            self.assertEqual(len(re.findall(rf"(?m)^# HELP {name} \S", text)), 1, name)
        host.stop()

    def test_address_in_use_is_a_warning_and_the_host_serves(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            host = self.start_replay(site={"metrics": address})
            self.assertRegex(host.log, f"warning no_metrics .*got {address}; expected a free")
            host.stop()


class Telemetry(Case):
    def ask(self, host, *commands):
        """The answers of DPDK's telemetry socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(daemon.SECONDS_MAX)
            connection.connect(str(host.run_dir / "dpdk" / host.name / "dpdk_telemetry.v2"))
            self.assertEqual(json.loads(connection.recv(16384))["pid"], host.pid)
            answers = []
            for command in commands:
                connection.sendall(command.encode())
                answers.append(json.loads(connection.recv(65536))[command.split(",")[0]])
            return answers

    def test_commands_answer_from_the_last_status(self):
        host = self.start_replay()
        daemon.wait_until(
            lambda: self.ask(host, "/sluice/status")[0]["sent_packets"] == len(FRAMES), "the count")
        status, instances, instance, nobody, drops, commands = self.ask(
            host, "/sluice/status", "/sluice/instances", "/sluice/instances,forward.1",
            "/sluice/instances,forward.9", "/sluice/drops", "/")
        self.assertEqual((status["host"], status["deployment"], status["ready"]),
                         ("h1", "forward", 1))
        self.assertEqual(status["flows"], len(FRAMES))
        self.assertEqual(instances, ["forward.1"])
        self.assertEqual((instance["service"], instance["state"]), ("forward", "running"))
        self.assertEqual(instance["delivered_packets"], len(FRAMES))
        self.assertIsNone(nobody)
        self.assertEqual(drops["no_instance"], 0)
        self.assertNotIn("none", drops)
        self.assertIn("/sluice/status", commands)
        host.stop()

    def test_each_host_has_its_own_socket(self):
        hosts = [self.start_host(daemon.FORWARD.replace("h1", name), name=name)
                 for name in ("h1", "h2")]
        for host in hosts:
            self.assertEqual(self.ask(host, "/sluice/status")[0]["host"], host.name)
        for host in hosts:
            host.stop()


class Capture(Case):
    def test_what_was_played_comes_out_at_both_points(self):
        host = self.start_replay(
            arguments=["--capture", "p0", "--capture", f"p1={self.folder}/sent.pcap"])
        host.stop()
        received = daemon.read_pcap(self.folder / "p0.pcap")
        sent = daemon.read_pcap(self.folder / "sent.pcap")
        self.assertEqual([frame for _, frame in received], FRAMES)
        self.assertEqual([frame for _, frame in sent], FRAMES)
        times = [at for at, _ in received + sent]
        self.assertEqual(times[:200], sorted(times[:200]))
        self.assertTrue(any(at % 1000 for at in times), "times are not in nanoseconds")
        about = subprocess.run(["capinfos", "-M", "-c", "-t", self.folder / "sent.pcap"],
                               capture_output=True, text=True, check=True).stdout
        self.assertRegex(about, r"Number of packets:\s+200\n")
        self.assertRegex(about, r"File type:\s+nsecpcap\n")

    def test_wrong_points_are_refused_before_anything_starts(self):
        for arguments, words in (
                (["--capture", "p7"], "unknown port of host h1; got p7; expected one of p0, p1"),
                (["--capture", "p0="], "no file; got p0=; expected PORT=FILE"),
                (["--capture", "p0", "--capture", "p0=x"], "port p0 is captured twice")):
            host = self.spawn_host(arguments=arguments)
            self.assertEqual(host.wait_exit(), 2)
            self.assertIn(words, host.log)
        host = self.spawn_host(daemon.FORWARD.replace("cores: 4", "cores: 4, workers: 2"),
                               arguments=["--capture", "p0"])
        self.assertEqual(host.wait_exit(), 2)
        self.assertIn("too many workers; got 2; expected 1", host.log)

    def test_file_that_cannot_be_written_is_3(self):
        host = self.spawn_host(arguments=["--capture", "p0=/nonexistent/x.pcap"])
        self.assertEqual(host.wait_exit(), 3)
        self.assertIn("/nonexistent/x.pcap: cannot be written: No such file", host.log)


class Log(Case):
    def test_json_is_an_object_a_line_with_the_service_by_name(self):
        host = self.start_host(arguments=["--log", "json"])
        host.process.poll()
        pid = host.instances()["forward.1"]["pid"]
        self.assertGreater(pid, 0)
        host.request(do="quarantine", instance="forward.1")
        host.wait_until(lambda _: list(host.instances()) == ["forward.2"])
        host.stop()
        lines = [json.loads(line) for line in host.log.splitlines()]
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(line["level"], ("info", "warning", "error"))
            self.assertEqual(line["host"], "h1")
        events = {line["event"]: line for line in lines}
        self.assertEqual(events["serving"]["deployment"], "forward")
        self.assertEqual(events["stopped"]["problems"], 0)
        quarantined = events["instance_quarantined"]
        self.assertEqual((quarantined["service"], quarantined["instance"]),
                         ("forward", "forward.1"))

    def test_text_is_an_event_with_fields(self):
        host = self.start_host()
        host.stop()
        head = r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info "
        self.assertRegex(host.log, head + "serving host=h1 deployment=forward ports=2 pages=")
        self.assertRegex(
            host.log, head + r"instance_started host=h1 service=forward instance=forward\.1$")
        self.assertRegex(host.log, head + "stopped host=h1 problems=0$")
        self.assertNotIn("{", host.log)

    def test_failure_to_start_is_in_the_form_that_was_asked_for(self):
        ports = {"p0": "net_nonsense0", "p1": "net_null0"}
        host = self.spawn_host(ports=ports, arguments=["--log", "json"])
        self.assertEqual(host.wait_exit(), 3)
        lines = [json.loads(line) for line in host.log.splitlines()]
        self.assertEqual((lines[-1]["level"], lines[-1]["event"]), ("error", "failed"))
        self.assertIn("port p0 (net_nonsense0)", lines[-1]["message"])
        host = self.spawn_host(ports=ports)
        self.assertEqual(host.wait_exit(), 3)
        self.assertRegex(host.log, r"(?m)^sluice host: port p0 \(net_nonsense0\): no such device")


if __name__ == "__main__":
    daemon.main()
