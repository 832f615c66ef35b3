"""A recorded capture gives the same frames and counters on real devices as in simulation.

Both run one file on the same frames: those of data/captures and tests/golden. A device reads its
capture from a pipe, so that the test decides when a frame comes: not before the processes of the
functions serve, and replies not before what they answer has left. Meanwhile it sends frames that no
chain wants, for a read from an empty pipe would hold up the worker. What was sent, these included,
is then replayed to the simulated host.
"""

import collections
import json
import os
import threading

import daemon

SEED = 1
STEP_NS = 20_000  # Between two frames of the simulated replay.
PACE = "20 Mbps"  # 1,600 frames a second that no chain wants, until there are others.

# Nothing here ends or changes by the time that passes, which differs between both.
FILE = """\
name: equality
hosts:
  h1: {cores: 16, clock: 2 GHz, buffers: 32768, flow_idle: 1 h,
       ports: {p0: {rate: 10 Gbps}, p1: {rate: 10 Gbps}, p2: {rate: 10 Gbps}}}
services:
  firewall:
    function: firewall
    rules: [{deny: {src: 10.0.1.3/32}}, {allow: {proto: tcp, dst_port: 80}},
            {allow: {proto: icmp}}, {allow: {proto: icmpv6}}]
    affinity: session
    tcp_idle: 1 h
    udp_idle: 1 h
    icmp_idle: 1 h
    run: RUN
    ring: 8192
  balancer:
    function: load_balancer
    vip: 192.0.2.80
    backends: [{ip: 10.1.0.1, weight: 2, mac: '02:00:00:00:01:01'}, {ip: 10.1.0.2}, {ip: 10.1.0.3}]
    idle: 1 h
    affinity: session
    run: RUN
    ring: 8192
  ids: {function: ids, patterns: patterns.txt, labels: [suspicious], run: RUN, ring: 8192}
  classify:
    function: ids
    pattern: [/etc/passwd, "@1 WORM", "@2 probe", "@3 short cut", "@2 behind"]
    labels: [suspicious, {bad: sticky}, odd, quick]
    run: RUN
    ring: 8192
  tap: {function: ids, pattern: [WORM], action: drop, run: RUN, ring: 8192}
  router:
    function: router
    routes:
      - {prefix: 10.1.0.0/16, next_hop_mac: '02:00:00:00:10:01', source_mac: '02:00:00:00:10:00'}
      - {prefix: 10.1.3.0/24, out: 2, next_hop_mac: '02:00:00:00:20:01'}
      - {prefix: 10.0.0.0/8}
      - {prefix: '2001:db8::/48', next_hop_mac: '02:00:00:00:10:06'}
    run: RUN
    ring: 8192
  watch: {function: monitor, idle: 1 h, run: RUN, ring: 8192}
chains:
  tagged: {from: h1.p0, to: h1.p1, match: {vlan: 7}, steps: [router, watch]}
  routed: {from: h1.p0, to: h1.p1, match: {dst: 10.1.0.0/16}, steps: [watch, router]}
  web: {from: h1.p0, to: h1.p1, match: {proto: tcp, dst_port: 80},
        steps: [firewall, balancer, {ids: {on: {suspicious: drop}}}]}
  web-back: {from: h1.p1, to: h1.p0, reverse_of: web}
  udp: {from: h1.p0, to: h1.p1, match: {proto: udp},
        steps: [{copy: tap}, {classify: {on: {bad: drop, odd: router, quick: out}, next: watch}},
                router, watch]}
  echo: {from: h1.p0, to: h1.p1, match: {proto: icmp}, steps: [firewall, watch]}
  echo-6: {from: h1.p0, to: h1.p1, match: {proto: icmpv6}, steps: [firewall, watch]}
"""
REPLAYS = """\
traffic:
  - {into: h1.p0, replay: fed.p0.pcap, rewrite: false, passes: 1}
  - {into: h1.p1, replay: fed.p1.pcap, rewrite: false, passes: 1}
run: {duration: DURATION ns, seed: SEED, captures: [h1.p0, h1.p1, h1.p2]}
"""
PORTS = ("p0", "p1", "p2")
UNWANTED = bytes(12) + bytes.fromhex("88b5") + bytes(1500 - 14)  # An EtherType for experiments.
RECORDED = ["data/captures/web.pcap"] + [
    f"tests/golden/{name}/in.pcap" for name in (
        "branches", "firewall", "forward", "fragments", "ipv6_extensions", "load_balancer",
        "malformed", "router", "two_workers", "vlan")]
# A sticky label meets the next packet of its flow or not, as they are far apart: there is a pause.
LABELLED = "tests/golden/ids/in.pcap"


def without_tags(frame):
    """(EtherType behind VLAN tags, where its payload begins)."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return frame[at:at + 2], at + 2


def flow_of(frame):
    """What the frames have in common that must keep their order: the flow's addresses and ports; of
    fragments, not all of which have ports, and without them only the addresses."""
    kind, at = without_tags(frame)
    if kind == b"\x08\x00" and len(frame) >= at + 20:
        protocol, addresses = frame[at + 9], frame[at + 12:at + 20]
        fragment = frame[at + 6] & 0x3f or frame[at + 7]
        ports = at + 4 * (frame[at] & 15)
    elif kind == b"\x86\xdd" and len(frame) >= at + 40:
        protocol, addresses, fragment, ports = frame[at + 6], frame[at + 8:at + 40], 0, at + 40
    else:
        return frame[12:at]
    if fragment or protocol not in (6, 17, 132):
        return frame[12:at], addresses, protocol
    return frame[12:at], addresses, protocol, frame[ports:ports + 4]


def by_flow(frames):
    flows = collections.defaultdict(list)
    for frame in frames:
        flows[flow_of(frame)].append(frame)
    return flows


def is_reply(frame):
    """Sent by a web server: these come in on the other side."""
    kind, at = without_tags(frame)
    if kind == b"\x08\x00" and frame[at + 9:at + 10] == b"\x06":
        ports = at + 4 * (frame[at] & 15)
    elif kind == b"\x86\xdd" and frame[at + 6:at + 7] == b"\x06":
        ports = at + 40
    else:
        return False
    return frame[ports:ports + 2] == b"\x00\x50"


def until_fin(frames):
    """Each flow up to its FIN. What hosts and firewalls remember of a connection that both sides
    have ended they forget a second later, so what came behind it would be a matter of time."""
    ended, kept = set(), []
    for frame in frames:
        flow = flow_of(frame)
        if flow in ended:
            continue
        kept.append(frame)
        kind, at = without_tags(frame)
        ports = at + (4 * (frame[at] & 15) if kind == b"\x08\x00" else 40)
        if frame[ports + 13] & 1:
            ended.add(flow)
    return kept


class Clock:
    """The times of frames in the replay: one after the other over all ports."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now_ns = 0

    def next_ns(self):
        with self.lock:
            self.now_ns += STEP_NS
            return self.now_ns


class Feed:
    """The capture of one port, which its device reads while it is written."""

    def __init__(self, pipe, clock):
        os.mkfifo(pipe)
        self.pipe = pipe
        self.clock = clock
        self.fed = []  # (time, frame), in order.
        self.wanted = collections.deque()
        self.closed = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def device(self):
        return f"rx_pcap={self.pipe}"

    def run(self):
        try:
            with open(self.pipe, "wb", buffering=0) as stream:
                stream.write(daemon.PCAP_HEADER)
                # The replay counts times from the first frame, so the ports' ones have the same.
                self.write(stream, 0, UNWANTED)
                while not (self.closed and not self.wanted):
                    frame = self.wanted[0] if self.wanted else UNWANTED
                    self.write(stream, self.clock.next_ns(), frame)
                    if frame is not UNWANTED:
                        self.wanted.popleft()
        except BrokenPipeError:
            pass  # The host has ended, and its test says why.

    def write(self, stream, at_ns, frame):
        stream.write(daemon.pcap_record(at_ns, frame))
        self.fed.append((at_ns, frame))

    def close(self):
        self.closed = True
        self.thread.join(daemon.SECONDS_MAX)


class Outcome:
    """What must be the same: frames by port and flow, and counters."""

    def __init__(self, captures, drops, chains, instances, flows_started):
        self.frames = {port: by_flow(frame for _, frame in daemon.read_pcap(path))
                       for port, path in captures.items()}
        self.drops = drops
        self.chains = {name: {kind: chain[f"{kind}_packets"]
                              for kind in ("entered", "left", "dropped")}
                       for name, chain in chains.items()}
        self.instances = {name: {kind: each[f"{kind}_packets"]
                                 for kind in ("delivered", "returned")}
                          for name, each in instances.items()}
        self.flows_started = flows_started

    def differences(self, other):
        """The names of what differs."""
        return [name for name, value in vars(self).items() if value != vars(other)[name]]


class Equality(daemon.Case):
    def setUp(self):
        super().setUp()
        if not (daemon.SLUICE.parent / "sluice-sim").exists():
            self.skipTest("this build has no simulator")
        (self.folder / "patterns.txt").symlink_to(daemon.SOURCE / "data/patterns.txt")
        self.clock = Clock()
        self.feeds = {port: Feed(self.folder / f"{port}.pipe", self.clock) for port in PORTS[:2]}
        frames = [frame for name in RECORDED
                  for _, frame in daemon.read_pcap(daemon.SOURCE / name)]
        self.questions = [frame for frame in frames if not is_reply(frame)]
        self.replies = until_fin(frame for frame in frames if is_reply(frame))
        labelled = daemon.read_pcap(daemon.SOURCE / LABELLED)
        pause = max(range(1, len(labelled)), key=lambda i: labelled[i][0] - labelled[i - 1][0])
        self.labelled = [frame for _, frame in labelled[:pause]]
        self.behind = [frame for _, frame in labelled[pause:]]

    def feed(self, host, port, frames):
        """Sends frames, and waits until they have come to their end."""
        feed = self.feeds[port]
        feed.wanted.extend(frames)
        daemon.wait_until(lambda: not feed.wanted, "the frames are written")
        count = len(feed.fed)
        index = PORTS.index(port)
        return host.wait_until(
            lambda now: now["ports"][index]["received_packets"] >= count and self.is_idle(now),
            f"{count} frames have passed")

    @staticmethod
    def is_idle(status):
        return all(chain["entered_packets"] == chain["left_packets"] + chain["dropped_packets"]
                   for chain in status["chains"])

    def run_host(self, text):
        sinks = {port: self.folder / f"{port}.real.pcap" for port in PORTS}
        devices = {}
        for index, port in enumerate(PORTS):
            source = f"{self.feeds[port].device}," if index < 2 else ""
            devices[port] = {"vdev": f"net_pcap{index},{source}tx_pcap={sinks[port]}"}
            if source:
                devices[port]["pace"] = PACE
        host = self.start_host(text, devices, arguments=("--hash-seed", SEED))
        self.feed(host, "p0", self.questions)
        self.feed(host, "p1", self.replies)
        self.feed(host, "p0", self.labelled)
        self.feed(host, "p0", self.behind)
        for feed in self.feeds.values():
            feed.close()
        counts = [len(feed.fed) for feed in self.feeds.values()]
        status = host.wait_until(
            lambda now: [port["received_packets"] for port in now["ports"]][:2] == counts
            and self.is_idle(now), f"{counts} frames have passed")
        host.stop()
        self.assertNotIn("instance_died", host.log)
        return Outcome(sinks, status["drops"], {each["name"]: each for each in status["chains"]},
                       {each["name"]: each for each in status["instances"]},
                       status["flows_started"])

    def simulate(self, text, name="simulated"):
        for port, feed in self.feeds.items():
            daemon.write_pcap(self.folder / f"fed.{port}.pcap",
                              [frame for _, frame in feed.fed], [at for at, _ in feed.fed])
        replays = REPLAYS.replace("DURATION", str(self.clock.now_ns + 100_000_000))
        file = self.folder / f"{name}.yaml"
        file.write_text(text + replays.replace("SEED", str(SEED)), encoding="utf-8")
        results = self.folder / name
        code, _, err = self.sluice("sim", file, "--results", results, "--quiet")
        self.assertEqual(code, 0, err)
        summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
        return Outcome({port: results / f"captures/h1.{port}.pcap" for port in PORTS},
                       summary["drops"], summary["chains"], summary["instances"],
                       summary["flows_started"])

    def assert_equal_in_both(self, run):
        text = FILE.replace("RUN", run)
        real = self.run_host(text)
        simulated = self.simulate(text)
        for name in ("drops", "chains", "instances", "flows_started"):
            with self.subTest(name):
                self.assertEqual(getattr(real, name), getattr(simulated, name))
        for port in PORTS:
            self.assert_same_frames(port, real.frames[port], simulated.frames[port])
        self.assert_it_was_a_test(real)
        # One rule less: a client's packets pass, with their replies, and all of these tell.
        other = self.simulate(text.replace("{deny: {src: 10.0.1.3/32}}, ", ""), "other-rule")
        self.assertEqual(real.differences(other), ["frames", "drops", "chains", "instances"])
        # One byte in frames of two flows.
        other = self.simulate(text.replace("00:20:01", "00:20:02"), "other-mac")
        self.assertEqual(real.differences(other), ["frames"])

    def assert_same_frames(self, port, real, simulated):
        """assertEqual() would show thousands of frames."""
        for flow in {**real, **simulated}:
            if real.get(flow) != simulated.get(flow):
                self.fail(f"{port}: flow {flow}: got {real.get(flow)}; "
                          f"expected {simulated.get(flow)}")

    def assert_it_was_a_test(self, outcome):
        """All chains, ports and functions had packets, and they ended in many ways."""
        for port, flows in outcome.frames.items():
            self.assertTrue(flows, port)
        for name, chain in outcome.chains.items():
            self.assertGreater(chain["left"], 0, name)
        for name, each in outcome.instances.items():
            self.assertGreater(each["delivered"], 0, name)
        # Not only copies were dropped in it: labels decided.
        self.assertGreater(outcome.chains["udp"]["dropped"], outcome.drops["copy_done"])
        self.assertLessEqual({"rule", "ttl", "parse_error", "no_chain", "fragment_table",
                              "copy_done"}, set(outcome.drops))
        # None of a kind that depends on how fast a machine is.
        self.assertFalse({"ring_full", "no_instance", "no_buffer", "instance_died", "hold_limit"} &
                         set(outcome.drops))
        self.assertGreater(sum(len(frames) for flows in outcome.frames.values()
                               for frames in flows.values()), 4500)

    def test_inline_functions(self):
        self.assert_equal_in_both("inline")

    def test_processes(self):
        self.assert_equal_in_both("process")


if __name__ == "__main__":
    daemon.main()
