"""`sluice apply`: a running host takes another deployment file, and no living flow notices."""

import json
import threading

import daemon

BASE = """\
name: base
hosts: {h1: {cores: 8, clock: 2 GHz, buffers: 8192, flow_idle: 1 s,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  watch: {function: monitor, instances: {min: 1, max: 2}}
  wall: {function: firewall, run: inline, default: allow}
chains:
  all: {from: h1.p0, to: h1.p1, steps: [watch, wall]}
"""
# Another chain, a new process, and other rules for the same name.
EXTENDED = BASE.replace("name: base", "name: extended").replace(
    "default: allow", "default: allow, rules: [{deny: {dst_port: 81}}]").replace(
    "chains:", "  extra: {function: monitor, instances: {min: 1, max: 1}}\nchains:").replace(
    "[watch, wall]", "[extra, watch, wall]")

# A host whose one port sends what it reads from a capture, again and again, to the tested host.
FEEDER = """\
name: feeder
hosts: {%s: {cores: 2, clock: 2 GHz, buffers: 4096,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  send: {function: forward, run: inline}
chains:
  all: {from: %s.p0, to: %s.p1, steps: [send]}
"""


def drops(status):
    return {reason: count for reason, count in status["drops"].items() if count}


class Apply(daemon.Case):
    def start(self, text=BASE, **options):
        return self.start_host(text, {"p0": self.memif("server"), "p1": "net_null1,no-rx=1"},
                               **options)

    def memif(self, role):
        # Without huge pages and the DPDK run directory: a socket of ours.
        return (f"net_memif0,role={role},socket={self.folder}/memif.sock,socket-abstract=no,"
                "rsize=12,bsize=2048")

    def feed(self, name, first_port, destination_port=80):
        """Sixteen flows, at 2 kpps, until it is stopped."""
        frames = [daemon.udp_frame(first_port + i, destination_port=destination_port)
                  for i in range(16)]
        source = daemon.write_pcap(self.folder / f"{name}.pcap", frames)
        site = {"ports": {"p0": {"vdev": f"{daemon.pcap_source(source)},infinite_rx=1",
                                 "pace": "1 Mbps"},
                          "p1": {"vdev": self.memif("client")}}}
        return self.start_host(FEEDER.replace("%s", name), {}, name=name, site=site,
                               run_dir=self.folder / "feeders")

    def apply(self, text, name="new.yaml"):
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        return self.sluice("apply", "--run-dir", self.folder / "run", file)

    @staticmethod
    def delivered(status, instance):
        return sum(each["delivered_packets"] for each in status["instances"]
                   if each["name"] == instance)

    def grows(self, host, instance):
        before = self.delivered(host.status(), instance)
        return host.wait_until(lambda now: self.delivered(now, instance) > before + 200,
                               f"{instance} gets packets")

    def test_living_flows_keep_their_way_and_new_ones_take_the_new(self):
        host = self.start()
        feeder = self.feed("f1", 1000)
        self.grows(host, "watch.1")
        watcher = host.instances()["watch.1"]["pid"]
        self.assertEqual(self.apply(EXTENDED), (0, "h1: runs extended\n", ""))
        self.assertEqual(host.status()["deployment"], "extended")
        now = self.grows(host, "watch.1")
        # The same process serves on, and the new one, which stands before it, sees no old flow.
        self.assertEqual(host.instances()["watch.1"]["pid"], watcher)
        self.assertIn("extra.1", host.instances())
        self.assertEqual(self.delivered(now, "extra.1"), 0)
        self.assertEqual(drops(now), {})
        feeder.stop()
        feeder = self.feed("f2", 2000)
        self.grows(host, "extra.1")
        feeder.stop()
        # The same flows as those that passed the old rules: theirs have ended, so the new rules do.
        host.wait_until(lambda now: now["flows"] == 0)
        feeder = self.feed("f3", 3000, destination_port=81)
        denied = host.wait_until(lambda now: now["drops"].get("rule", 0) > 200)
        self.assertEqual(set(drops(denied)), {"rule"})
        feeder.stop()
        host.stop()

    def test_what_is_old_ends_with_its_last_flow(self):
        host = self.start(EXTENDED)
        feeder = self.feed("f1", 1000)
        self.grows(host, "extra.1")
        self.assertEqual(self.apply(BASE)[0], 0)
        now = self.grows(host, "extra.1")  # Its flows live on.
        self.assertEqual(drops(now), {})
        feeder.stop()
        host.wait_until(lambda now: not any(each["service"] == "extra"
                                            for each in now["instances"]), "extra ends")
        self.assertRegex(host.log, "instance_stopped .*service=extra")
        feeder = self.feed("f2", 2000)
        now = self.grows(host, "watch.1")
        self.assertEqual(drops(now), {})
        feeder.stop()
        host.stop()

    def test_to_and_fro_under_load(self):
        host = self.start()
        feeder = self.feed("f1", 1000)
        self.grows(host, "watch.1")
        for turn in range(20):
            text, name = ((EXTENDED, "extended"), (BASE, "base"))[turn % 2]
            self.assertEqual(self.apply(text), (0, f"h1: runs {name}\n", ""))
        now = self.grows(host, "watch.1")
        self.assertEqual(drops(now), {})
        feeder.stop()
        host.wait_until(lambda now: now["flows"] == 0 and len(now["instances"]) == 2)
        host.stop()

    def test_other_limits_keep_the_instances(self):
        host = self.start()
        before = host.instances()["watch.1"]["pid"]
        self.assertEqual(self.apply(BASE.replace("max: 2", "max: 4"))[0], 0)
        self.assertEqual(host.instances()["watch.1"]["pid"], before)
        for _ in range(3):
            self.assertEqual(self.sluice("ctl", "--run-dir", host.run_dir, "start", "watch")[0], 0)
        host.wait_until(lambda now: len(host.instances("watch")) == 4)
        host.stop()

    def test_a_new_service_that_does_not_start_is_taken_back(self):
        host = self.start()
        feeder = self.feed("f1", 1000)
        self.grows(host, "watch.1")
        broken = EXTENDED.replace("extra: {function: monitor,",
                                  "extra: {function: external, program: ./none,")
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.apply(broken, "broken.yaml")))
        waiting.start()
        host.wait_until(lambda now: "extra.1 ended" in host.log)
        code, out, err = self.apply(EXTENDED)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("host h1: apply: another change is still under way", err)
        waiting.join()
        code, out, err = answers[0]
        self.assertEqual((code, out), (1, ""))
        self.assertIn("broken.yaml: services.extra: no instance came up in time", err)
        now = self.grows(host, "watch.1")
        self.assertEqual((now["deployment"], drops(now)), ("base", {}))
        self.assertEqual(self.apply(EXTENDED)[0], 0)
        feeder.stop()
        host.stop()

    def test_what_does_not_fit_is_refused_and_changes_nothing(self):
        host = self.start()
        self.assertEqual(self.sluice("ctl", "--run-dir", host.run_dir, "start", "watch")[0], 0)
        host.wait_until(lambda now: len(host.instances("watch")) == 2)
        before = host.status()["instances"]
        for text, problem in [
                (BASE.replace("cores: 8", "cores: 8, workers: 2"),
                 "hosts.h1.workers: cannot change while the host runs; got 2; expected 1"),
                (BASE.replace("p1: {rate: 1 Gbps}", "p1: {rate: 1 Gbps}, p2: {rate: 1 Gbps}"),
                 "hosts.h1.ports: cannot change while the host runs"),
                (EXTENDED.replace("cores: 8", "cores: 3"), "hosts.h1.cores: too few")]:
            code, out, err = self.apply(text)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(problem, err)
        code, _, err = self.apply(BASE.replace("steps:", "stpes:"))
        self.assertEqual(code, 2)
        self.assertIn("stpes", err)
        code, _, err = self.apply(BASE.replace("h1", "h2"))
        self.assertEqual(code, 3)
        self.assertIn("got h1; expected h2", err)
        # Past the command, which checks the file itself.
        self.assertFalse(host.request(do="apply", file="{", path="/x.yaml")["ok"])
        self.assertFalse(host.request(do="apply", file=7, path=[])["ok"])
        self.assertFalse(host.request(do="apply")["ok"])
        other = host.request(do="apply", file=BASE.replace("h1", "h2"), path="/x.yaml")
        self.assertIn("the host that runs is missing", other["error"])
        self.assertEqual([each["pid"] for each in host.status()["instances"]],
                         [each["pid"] for each in before])
        host.stop()


if __name__ == "__main__":
    daemon.main()
