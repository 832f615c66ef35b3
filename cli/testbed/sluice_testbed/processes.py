"""The child processes of a run. Each is ended by its own pid, and dies when the testbed does."""

import os
import shutil
import signal
import subprocess
import time

from .network import inside
from .problem import EnvironmentProblem, Failure

POLL_SECONDS = 0.01


class Programs:
    """Where our own programs are: beside this one, or in PATH."""

    NAMES = ("check", "traffic", "host", "plot")

    def __init__(self, folder):
        for name in self.NAMES:
            beside = os.path.join(folder, f"sluice-{name}")
            found = beside if os.access(beside, os.X_OK) else shutil.which(f"sluice-{name}")
            setattr(self, name, found or f"sluice-{name}")

    def need(self):
        missing = [f"sluice-{name}" for name in ("check", "traffic", "host")
                   if shutil.which(getattr(self, name)) is None]
        if missing:
            raise EnvironmentProblem("sluice testbed", "this build lacks programs",
                                     ", ".join(missing),
                                     "all of them: libdpdk-dev and -DSLUICE_DPDK=ON")


def need_tools(names):
    """What Debian calls the package, by the program."""
    packages = {"ip": "iproute2", "nsenter": "util-linux", "setpriv": "util-linux",
                "ethtool": "ethtool", "sysctl": "procps", "iperf3": "iperf3", "curl": "curl",
                "nginx": "nginx-light"}
    search = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = [name for name in names if shutil.which(name, path=search) is None]
    if missing:
        raise EnvironmentProblem("sluice testbed", "programs are missing", ", ".join(missing),
                                 "the packages " + ", ".join(packages[each] for each in missing))


class Child:
    """One process in a namespace, with its output in files of the run folder."""

    def __init__(self, name, namespace, command, folder, death_signal="KILL", stdin=None,
                 may_finish=False):
        self.name = name
        self.may_finish = may_finish  # Before the run is over.
        self.expected_to_end = False
        self.out_path = folder.file(f"{name}.out")
        self.err_path = folder.file(f"{name}.err")
        command = [str(each) for each in command]
        # A session of its own: a Ctrl-C is ours alone, and we end the others in the right order.
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", death_signal, *inside(namespace, *command)],
                stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process.poll() is None

    @property
    def output(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    @property
    def last_words(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as stream:
            lines = stream.read().strip().splitlines()
        return lines[-1] if lines else "no message"

    def signal(self, number):
        if self.running:
            self.process.send_signal(number)

    def wait(self, seconds):
        """@return Whether it ended in time."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self, seconds=5.0):
        """Asks it to end, and insists after `seconds`."""
        self.expected_to_end = True
        self.signal(signal.SIGCONT)  # One that a fault stopped could not listen.
        self.signal(signal.SIGTERM)
        if not self.wait(seconds):
            self.signal(signal.SIGKILL)
            self.process.wait()

    def must_run(self):
        """Fails the run when it has ended, nobody asked it to, and it was not done."""
        if not self.running and not self.expected_to_end and \
                not (self.may_finish and self.process.returncode == 0):
            raise Failure(self.name, f"ended in the middle of the run with {self.status_text}",
                          self.last_words)

    @property
    def status_text(self):
        code = self.process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def wait_until(what, condition, children, seconds):
    """Waits until `condition()` is true, as long as `children` live."""
    deadline = time.monotonic() + seconds
    while not condition():
        for child in children:
            child.must_run()
        if time.monotonic() > deadline:
            raise Failure("sluice testbed", f"{what} took too long", f"more than {seconds:g} s")
        time.sleep(POLL_SECONDS)
