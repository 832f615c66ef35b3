"""A network function of a project outside of the tree, from its build to packets through it; and
how a host refuses what is no instance of its own.

    test_external_nf.py SLUICE SOURCE_FOLDER BUILD_FOLDER CXX_COMPILER
"""

import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "backends" / "dpdk"))
import daemon  # noqa: E402

PROGRAMS = pathlib.Path()  # Where the project's programs are, built.

DEPLOYMENT = """\
name: external
hosts: {h1: {cores: 4, clock: 2 GHz, buffers: 4096,
             ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}
services:
  # Makes of the endless source a stream that a file holds.
  limit: {function: rate_limiter, rate: 2 Mbps, burst: 2 kB, run: inline}
  ttl: {function: external, program: ./ttl-nf, instances: {min: 1, max: 3}, files: [spare.txt],
        settings: {by: 3, spare: spare.txt}}
chains:
  all: {from: h1.p0, to: h1.p1, steps: [limit, ttl]}
"""
SPARED_PORT = 1007


def with_ttl(frame, ttl):
    """The frame with another TTL and the checksum that fits it, by the definition of RFC 1071."""
    head = frame[14:22] + bytes([ttl]) + frame[23:24] + bytes(2) + frame[26:34]
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return frame[:14] + head[:10] + struct.pack("!H", total ^ 0xFFFF) + head[12:] + frame[34:]


def build_project(build, compiler, work):
    """Installs the build, copies the project to where no source of ours is above it, builds it."""
    def do(*command):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    do("cmake", "--install", build, "--prefix", work / "prefix", "--component", "development")
    shutil.copytree(HERE / "project", work / "project")
    do("cmake", "-S", work / "project", "-B", work / "build", "-G", "Ninja",
       f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release",
       f"-DCMAKE_PREFIX_PATH={work / 'prefix'}")
    do("cmake", "--build", work / "build")
    return work / "build"


class ExternalNf(daemon.Case):
    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)  # In a container a program is another user.
        for program in ("ttl-nf", "intruder"):
            shutil.copy(PROGRAMS / program, self.folder)
        (self.folder / "spare.txt").write_text(f"{SPARED_PORT}\n", encoding="utf-8")

    def intrude(self, mode, host, *service):
        """What a host answers to the intruder."""
        done = subprocess.run([self.folder / "intruder", mode, host.run_dir / "h1.nf", *service],
                              capture_output=True, text=True, check=False,
                              timeout=daemon.SECONDS_MAX)
        self.assertEqual(done.returncode, 0, done.stderr + host.log)
        return done.stdout

    def assert_lives(self, host, *instances):
        host.wait_until(lambda now: sorted(each["name"] for each in now["instances"] if
                                           each["state"] == "running" and each["service"] == "ttl")
                        == sorted(instances), f"instances {instances}")

    def lower_and_look(self, deployment):
        plain = [daemon.udp_frame(1000 + i) for i in range(16)]
        tired = with_ttl(daemon.udp_frame(2000), 3)
        source = daemon.write_pcap(self.folder / "in.pcap", [*plain, tired])
        sink = self.folder / "out.pcap"
        host = self.start_host(deployment, {
            "p0": f"net_pcap0,rx_pcap={source},tx_pcap=/dev/null,infinite_rx=1",
            "p1": f"net_pcap1,tx_pcap={sink}"})
        host.wait_until(lambda now: now["ports"][1]["sent_packets"] > 200
                        and now["drops"].get("ttl", 0) > 0, "packets at p1 and an expired one")
        host.stop()
        lowered = {with_ttl(frame, 61) for frame in plain}
        lowered.remove(with_ttl(plain[SPARED_PORT - 1000], 61))
        lowered.add(plain[SPARED_PORT - 1000])
        self.assertEqual({frame for _, frame in daemon.read_pcap(sink)}, lowered)

    def test_its_packets_are_those_of_its_settings(self):
        self.lower_and_look(DEPLOYMENT)

    @unittest.skipIf(daemon.no_containers(), daemon.no_containers())
    def test_in_a_container_it_has_its_files_too(self):
        self.lower_and_look(DEPLOYMENT.replace("program: ", "run: container, program: "))

    def test_wrong_settings_are_said_with_their_place(self):
        host = self.spawn_host(DEPLOYMENT.replace("by: 3", "by: 0"))
        daemon.wait_until(lambda: "h1.yaml:8:24: services.ttl.by: " in host.log, "the complaint")
        self.assertEqual(host.instances("ttl"), {})
        host.stop()

    def test_files_that_are_missing_are_said_at_start(self):
        (self.folder / "spare.txt").unlink()
        host = self.spawn_host(DEPLOYMENT)
        self.assertEqual(host.wait_exit(), 2)
        self.assertIn("services.ttl.files: cannot read the file", host.log)

    def test_one_that_comes_by_itself_serves_until_the_host_ends(self):
        host = self.start_host(DEPLOYMENT)
        with subprocess.Popen([self.folder / "ttl-nf", "--socket", host.run_dir / "h1.nf",
                               "--service", "ttl"]) as own:
            try:
                self.assert_lives(host, "ttl.1", "ttl.2")
                self.assertEqual(host.instances("ttl")["ttl.2"]["pid"], own.pid)
                host.stop()
                self.assertEqual(own.wait(daemon.SECONDS_MAX), -signal.SIGKILL)
            finally:
                own.kill()

    def test_greetings_of_others_are_refused(self):
        host = self.start_host(DEPLOYMENT)
        self.assertIn("accepted=0 wrong version of the interface; got ",
                      self.intrude("wrong-version", host))
        self.assertIn("accepted=0 other layout of shared memory",
                      self.intrude("wrong-layout", host))
        self.assertIn("accepted=0 its greeting is unknown", self.intrude("garbage", host))
        self.assert_lives(host, "ttl.1")
        host.stop()

    def test_unknown_service_is_refused(self):
        host = self.start_host(DEPLOYMENT)
        code, _, err = self.sluice("nf", "--socket", host.run_dir / "h1.nf", "--service", "tl")
        self.assertEqual(code, 1)
        self.assertIn("unknown service; got tl; expected one of limit, ttl; did you mean ttl?", err)
        code, _, err = self.sluice("nf", "--socket", host.run_dir / "h1.nf", "--service", "limit")
        self.assertEqual(code, 1)
        self.assertIn("service limit runs inline", err)
        self.assert_lives(host, "ttl.1")
        host.stop()

    def test_double_registration_is_refused(self):
        host = self.start_host(DEPLOYMENT)
        answer = self.intrude("twice", host, "ttl")
        self.assertRegex(answer, r"accepted=0 this process is instance ttl\.2 already")
        self.assert_lives(host, "ttl.1")
        host.stop()

    def test_ready_twice_is_the_end_of_the_process_and_of_nothing_else(self):
        host = self.start_host(DEPLOYMENT)
        done = subprocess.run([self.folder / "intruder", "ready-twice", host.run_dir / "h1.nf",
                               "ttl"], check=False, timeout=daemon.SECONDS_MAX)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        self.assertIn("ttl.2: registered twice by the same process", host.log)
        self.assertIn("ttl.1", host.instances("ttl"))
        host.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="sluice-external-") as folder:
        build_folder, cxx = sys.argv[3:5]
        PROGRAMS = build_project(pathlib.Path(build_folder), cxx, pathlib.Path(folder))
        del sys.argv[3:5]
        daemon.main()
